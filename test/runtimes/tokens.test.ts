import { jwtAuthenticator, issueTicket, ticketAuthenticator } from '@mangrove/relay/auth';
import type { AuthenticationRequest } from '@mangrove/relay/node';
import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

// Who may be in a room, and for how long, over real sockets.

const SECRET = new TextEncoder().encode('a secret of more than thirty-two bytes');
const AUDIENCE = 'relay.example.com';

const tokenOf = (sub: string, seconds = 60): Promise<string> =>
  new SignJWT({ sub, rooms: ['*'], rights: ['read', 'write'] })
    .setProtectedHeader({ alg: 'HS256' })
    .setAudience(AUDIENCE)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
    .sign(SECRET);

const join = async (url: string, token: string, room = 'room') =>
  ProtocolClient.connect(url, new TestReplica(room), { token });

test('[SY1] revoke closes with 4403 whom it means, after telling why, and nobody else', async () => {
  const { relay, url, faults } = await startRelay({
    authenticate: jwtAuthenticator({ key: SECRET, audience: AUDIENCE }),
  });
  const [ann, bob] = [await tokenOf('ann'), await tokenOf('bob')];
  const clients = [
    await join(url, ann),
    await join(url, ann, 'other'),
    await join(url, bob),
    await join(url, bob),
  ] as const;
  expect(await relay.revoke({ subject: 'ann' })).toBe(2);
  for (const client of clients.slice(0, 2)) {
    expect(await client.closed).toBe(4403);
    expect(client.messages.at(-1)).toMatchObject({
      kind: 'fault',
      code: 'UNAUTHORIZED',
      facts: { reason: 'the access was revoked' },
    });
  }
  expect(await relay.revoke({ replica: clients[2].replica.id, room: 'other' })).toBe(0);
  expect(await relay.revoke({ replica: clients[2].replica.id })).toBe(1);
  expect(await clients[2].closed).toBe(4403);
  await clients[3].pushed(clients[3].replica.drafts(1));
  expect(await relay.revoke({ room: 'room' })).toBe(1);
  expect(await clients[3].closed).toBe(4403);
  await expect(relay.revoke({})).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  expect(faults).toEqual([]);
});

test('[SY1] an expired token, and a ticket that was used, are told so, with a code after which the client comes with another', async () => {
  const running = await startRelay({ authenticate: jwtAuthenticator({ key: SECRET, audience: AUDIENCE }) });
  const late = await ProtocolClient.open(running.url, new TestReplica('room'));
  late.sendHello({ token: await tokenOf('ann', -60) });
  expect(await late.next('fault')).toMatchObject({ code: 'TOKEN_EXPIRED' });
  expect(await late.closed).toBe(4002);
  expect(running.faults).toEqual([]);

  const tickets = await startRelay({ authenticate: ticketAuthenticator({ key: SECRET }) });
  const ticket = await issueTicket({ key: SECRET, rooms: ['room'], rights: ['read', 'write'] });
  await join(tickets.url, ticket);
  const second = await ProtocolClient.open(tickets.url, new TestReplica('room'));
  second.sendHello({ token: ticket });
  expect(await second.next('fault')).toMatchObject({ code: 'TOKEN_EXPIRED', facts: { reason: 'the ticket was used' } });
  expect(await second.closed).toBe(4002);
});

test('[SY1] who is open is asked about again: gone is 4403, less is come again, an outage changes nothing', async () => {
  const asked: AuthenticationRequest[] = [];
  let rights: ('read' | 'write')[] | undefined | 'outage' = ['read', 'write'];
  const { url, faults } = await startRelay({
    recheckMs: 1,
    async authenticate(request) {
      asked.push(request);
      if (rights === 'outage') throw new Error('the user database is down');
      return rights === undefined ? null : { rights };
    },
  });
  const first = await join(url, 'first');
  const again = () => expect.poll(() => asked.at(-1)?.isRecheck, { timeout: 20_000 }).toBe(true);
  await again();
  expect(asked.at(-1)).toMatchObject({ token: 'first', room: 'room', replica: first.replica.id });
  await first.pushed(first.replica.drafts(1));
  rights = 'outage';
  await expect.poll(() => faults.length, { timeout: 20_000 }).toBeGreaterThan(0);
  expect(first.closeCode).toBeUndefined();
  rights = ['read'];
  expect(await first.closed).toBe(1008);
  const second = await join(url, 'second');
  rights = undefined;
  expect(await second.closed).toBe(4403);
});
