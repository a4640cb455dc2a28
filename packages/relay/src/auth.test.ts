import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ReplicaId } from '@mangrove/protocol';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { issueTicket, jwtAuthenticator, ticketAuthenticator } from './auth.js';
import { onceOnly } from './once-only.js';
import type { Authenticate } from './ports.js';
import { nodeHash } from './runtimes/node-crypto.js';
import { openMemory } from './storage/environment.js';

const SECRET = new TextEncoder().encode('a secret of more than thirty-two bytes');
const AUDIENCE = 'relay.example.com';
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds;

interface Signing {
  readonly key?: Parameters<SignJWT['sign']>[0];
  readonly alg?: string;
  readonly kid?: string;
}

function sign(claims: object, { key = SECRET, alg = 'HS256', kid }: Signing = {}): Promise<string> {
  const all = {
    aud: AUDIENCE,
    exp: inSeconds(60),
    sub: 'ann',
    rooms: ['team-42'],
    rights: ['read', 'write'],
    ...claims,
  };
  return new SignJWT(all).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key);
}

function ask(authenticate: Authenticate, token: string | undefined, more: object = {}, disk = openMemory()) {
  const once = onceOnly(disk, nodeHash);
  const nowMs = Date.now();
  return authenticate(
    { room: 'team-42', replica: '0123456789abcdef' as ReplicaId, ...(token === undefined ? {} : { token }), ...more },
    { nowMs, once: (id, untilMs) => once(id, untilMs, nowMs) },
  );
}

describe('tokens', () => {
  const authenticate = jwtAuthenticator({ key: SECRET, audience: AUDIENCE });

  test('[SY1] a token gives the rights of its claims, in the rooms of its claims, until its time is over', async () => {
    const exp = inSeconds(60);
    const token = await sign({ exp });
    const access = { rights: ['read', 'write'], expiresAtMs: exp * 1_000, subject: 'ann' };
    expect(await ask(authenticate, token)).toEqual(access);
    expect(await ask(authenticate, token, { room: 'team-43' })).toBeNull();
    const many = await sign({ rooms: ['notes/*'], rights: ['admin', 'read', 'nonsense'] });
    expect(await ask(authenticate, many, { room: 'notes/a' })).toMatchObject({ rights: ['read', 'admin'] });
    expect(await ask(authenticate, many, { room: 'note' })).toBeNull();
    expect(await ask(authenticate, await sign({ rooms: ['*'] }), { room: 'any' })).toMatchObject({ subject: 'ann' });
  });

  test('[SY1] what is not meant for this relay, or not signed, opens nothing', async () => {
    const { privateKey } = await generateKeyPair('EdDSA');
    const tokens = [
      undefined,
      '',
      'x.y.z',
      await sign({ aud: 'another' }),
      await sign({ aud: undefined }),
      await sign({ exp: undefined }),
      await sign({ nbf: inSeconds(60) }),
      await sign({ rooms: undefined }),
      await sign({ rights: undefined }),
      await sign({ rights: 'write' }),
      await sign({ rooms: 'team-42' }),
      await sign({ rooms: [7, null, {}] }),
      await sign({}, { key: new TextEncoder().encode('another secret of thirty-two bytes') }),
      await sign({}, { alg: 'HS512' }),
      await sign({}, { key: privateKey, alg: 'EdDSA' }),
      new UnsecuredJWT({ rooms: ['*'], rights: ['admin'] }).setAudience(AUDIENCE).setExpirationTime('1h').encode(),
      `${await sign({})}x`,
    ];
    for (const [i, token] of tokens.entries()) expect(await ask(authenticate, token), `token ${i}`).toBeNull();
    expect(await ask(jwtAuthenticator({ key: SECRET, audience: AUDIENCE, issuer: 'us' }), await sign({}))).toBeNull();
    expect(
      await ask(jwtAuthenticator({ key: SECRET, audience: AUDIENCE, issuer: 'us' }), await sign({ iss: 'us' })),
    ).not.toBeNull();
  });

  test('[SY1] one whose time is over is told so, and the client comes with another', async () => {
    const token = await sign({ exp: inSeconds(-10) });
    await expect(ask(authenticate, token)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED', retryable: true });
    // A connection that is open ends by its own time.
    expect(await ask(authenticate, token, { isRecheck: true })).toMatchObject({ subject: 'ann' });
    expect(await ask(authenticate, await sign({ exp: inSeconds(-3) }))).toMatchObject({ subject: 'ann' });
  });

  test('[SY1] a public key, in any form, is none for a token that was signed with it as a secret', async () => {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true });
    const pem = await exportSPKI(publicKey);
    const jwk = { ...(await exportJWK(publicKey)), alg: 'EdDSA' };
    const honest = await sign({}, { key: privateKey, alg: 'EdDSA' });
    const forged = await sign({}, { key: new TextEncoder().encode(pem) });
    for (const key of [publicKey, jwk, pem]) {
      expect(await ask(jwtAuthenticator({ key, audience: AUDIENCE }), honest)).toMatchObject({ subject: 'ann' });
      expect(await ask(jwtAuthenticator({ key, audience: AUDIENCE }), forged)).toBeNull();
    }
    expect(() => jwtAuthenticator({ key: pem, audience: AUDIENCE, algorithms: ['HS256'] })).toThrow(
      'HS needs a secret',
    );
  });

  test('[SY1] keys of a provider are fetched, and where they cannot be nobody is turned away for good', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'first', alg: 'ES256' };
    let status = 200;
    const server = createServer((_, response) => response.writeHead(status).end(JSON.stringify({ keys: [jwk] })));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    const token = await sign({}, { key: privateKey, alg: 'ES256', kid: 'first' });
    expect(await ask(jwtAuthenticator({ jwksUrl, audience: AUDIENCE }), token)).toMatchObject({ subject: 'ann' });
    expect(await ask(jwtAuthenticator({ jwksUrl, audience: AUDIENCE }), await sign({}))).toBeNull();
    status = 500;
    await expect(ask(jwtAuthenticator({ jwksUrl, audience: AUDIENCE }), token)).rejects.toThrow('cannot be fetched');
    const nowhere = jwtAuthenticator({ jwksUrl: 'http://127.0.0.1:9/jwks', audience: AUDIENCE });
    await expect(ask(nowhere, token)).rejects.toThrow('cannot be fetched');
  });

  test('[SY1] what was revoked opens nothing, whatever the claims give', async () => {
    const revoked = new Set(['ann']);
    const isRevoked = ({ sub }: { sub?: string }): boolean => revoked.has(sub ?? '');
    const strict = jwtAuthenticator({ key: SECRET, audience: AUDIENCE, isRevoked });
    expect(await ask(strict, await sign({}))).toBeNull();
    expect(await ask(strict, await sign({ sub: 'bob' }))).toMatchObject({ subject: 'bob' });
    const own = jwtAuthenticator({
      key: SECRET,
      audience: AUDIENCE,
      rightsOf: ({ sub }) => (sub === 'ann' ? ['read'] : []),
    });
    expect(await ask(own, await sign({ rooms: undefined }))).toMatchObject({ rights: ['read'] });
    expect(await ask(own, await sign({ sub: 'bob' }))).toBeNull();
  });

  test('options that would open more than they say are refused', () => {
    const cases: [object, string][] = [
      [{ audience: AUDIENCE }, 'one of key and jwksUrl'],
      [{ key: SECRET, jwksUrl: 'https://example.com', audience: AUDIENCE }, 'one of key and jwksUrl'],
      [{ key: SECRET.slice(0, 31), audience: AUDIENCE }, '32 bytes'],
      [{ key: SECRET, audience: '' }, 'audience'],
    ];
    for (const [options, why] of cases) expect(() => jwtAuthenticator(options as never)).toThrow(why);
  });
});

describe('tickets', () => {
  const authenticate = ticketAuthenticator({ key: SECRET });
  const grant = { key: SECRET, rooms: ['team-42'], rights: ['read'] as const, subject: 'ann' };

  test('[SY1] a ticket opens one connection, also after a restart, and asked again about that one it still counts', async () => {
    const disk = openMemory();
    const ticket = await issueTicket(grant);
    const access = await ask(authenticate, ticket, {}, disk);
    expect(access).toMatchObject({ rights: ['read'], subject: 'ann' });
    expect(access?.expiresAtMs).toBeGreaterThan(Date.now() + 3_500_000);
    await expect(ask(authenticate, ticket, {}, disk)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED', retryable: true });
    expect(await ask(authenticate, ticket, { isRecheck: true }, disk)).toMatchObject({ subject: 'ann' });
    expect(await ask(authenticate, await issueTicket(grant), {}, disk)).toMatchObject({ subject: 'ann' });
  });

  test('[SY1] of a hundred who come with one ticket at the same time one gets in', async () => {
    const once = onceOnly(openMemory(), nodeHash);
    const ticket = await issueTicket(grant);
    const nowMs = Date.now();
    const request = { room: 'team-42', replica: '' as ReplicaId, token: ticket };
    const context = { nowMs, once: (id: string, untilMs: number) => once(id, untilMs, nowMs) };
    const answers = await Promise.allSettled(Array.from({ length: 100 }, () => authenticate(request, context)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('[SY1] a token is no ticket, nor one for ever, nor one of another', async () => {
    expect(await ask(authenticate, await sign({ jti: 'x' }))).toBeNull();
    expect(await ask(authenticate, await sign({ aud: 'mangrove-ticket', exp: inSeconds(3_600), jti: 'x' }))).toBeNull();
    expect(await ask(authenticate, await sign({ aud: 'mangrove-ticket' }))).toBeNull();
    expect(await ask(authenticate, await issueTicket({ ...grant, rooms: ['other'] }))).toBeNull();
    await expect(issueTicket({ ...grant, ttlMs: 3_600_000 })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await expect(issueTicket({ ...grant, key: SECRET.slice(9) })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });

  test('what was used is remembered in a bounded number of rows, until its time is over', async () => {
    const names = new Set<string>();
    const memory = openMemory();
    const disk = {
      getMeta: memory.getMeta,
      putMeta: (name: string, value: Uint8Array) => {
        names.add(name);
        return memory.putMeta(name, value);
      },
    };
    const once = onceOnly(disk, nodeHash);
    let nowMs = Date.now();
    for (let i = 0; i < 3_000; i++, nowMs += 1_000) {
      expect(await once(`ticket ${i}`, nowMs + 30_000, nowMs)).toBe(true);
      expect(await once(`ticket ${i}`, nowMs + 30_000, nowMs + 29_000)).toBe(false);
    }
    expect(names.size).toBeLessThanOrEqual(17 * 64);
    expect(await once('late', nowMs, nowMs)).toBe(false);
    await expect(once('for ever', nowMs + 3_600_000, nowMs)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });
});
