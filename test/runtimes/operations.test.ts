import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { issueTicket } from '@mangrove/relay/auth';
import { SignJWT } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, readRoomVersion, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

// What an operator has: metrics, logs, draining, TLS, flags and variables of the environment.

const CLI = fileURLToPath(new URL('../../packages/relay/dist/cli.js', import.meta.url));
const tls = (name: string): string => fileURLToPath(new URL(`../support/tls/${name}.pem`, import.meta.url));
const SECRET = 'a secret of more than thirty-two bytes';

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly exited: Promise<number | null>;
  output(): string;
}

/** The command, with all that it says. */
async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Running> {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (text: Buffer): void => {
      output += text.toString();
      const found = /ready at (\S+)\n/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    exited.then((code) => reject(new Error(`it exited with ${code}: ${output}`)));
  });
  return { child, url, exited, output: () => output };
}

test('metrics are of Prometheus, have units in their names, and count what happens', async () => {
  const { url } = await startRelay();
  const [writer, reader] = [
    await ProtocolClient.connect(url, new TestReplica('room')),
    await ProtocolClient.connect(url, new TestReplica('room')),
  ];
  const deltas = writer.replica.drafts(3);
  await writer.pushed(deltas);
  await reader.has(deltas);
  writer.push([writer.replica.draft({ seq: 2 })]);
  await writer.next('refused');
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const value = (name: string): number =>
    Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1]);
  expect(value('mangrove_deltas_committed_total')).toBe(3);
  expect(value('mangrove_refusals_total{code="DOT_REUSED"}')).toBe(1);
  expect(value('mangrove_connections')).toBe(2);
  expect(value('mangrove_rooms')).toBe(1);
  expect(value('mangrove_commit_seconds_count')).toBeGreaterThan(0);
  expect(value('mangrove_push_wait_seconds_count')).toBeGreaterThan(0);
  expect(value('mangrove_fanout_connections_count')).toBeGreaterThan(0);
  expect(value('mangrove_sync_lag_seconds')).toBe(0);
  expect(value('mangrove_health_score')).toBeGreaterThan(0);
  const names = [...text.matchAll(/^# TYPE (mangrove_\S+) (\w+)$/gm)].map(([, name, type]) => [name, type] as const);
  for (const [name, type] of names) expect(name?.endsWith('_total'), `${name} is a ${type}`).toBe(type === 'counter');
  expect(names.length).toBeGreaterThan(30);
  // Another relay in this process counts for itself.
  const other = await startRelay({ storage: undefined });
  expect(await (await fetch(`${other.url}/metrics`)).text()).toMatch(/^mangrove_deltas_committed_total 0$/m);
});

test('POST /admin/drain is for admins, lets everybody go with 1001, and leaves a relay that can be asked', async () => {
  const { url, faults } = await startRelay({ adminToken: 'only-for-operators' });
  const clients = await Promise.all([1, 2, 3].map(() => ProtocolClient.connect(url, new TestReplica('room'))));
  await (clients[0] as ProtocolClient).pushed((clients[0] as ProtocolClient).replica.drafts(3));
  const drain = async (token?: string, method = 'POST') => {
    const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    return (await fetch(`${url}/admin/drain`, { method, headers })).status;
  };
  expect([await drain(), await drain('guessed'), await drain('only-for-operators', 'GET')]).toEqual([403, 403, 405]);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(await drain('only-for-operators')).toBe(200);
  for (const client of clients) expect(await client.closed).toBe(1001);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await readRoomVersion(url, 'room')).offset).toBe(3);
  const refused = new WebSocket(`${url.replace('http', 'ws')}/parties/relay/room`);
  expect(await new Promise((resolve) => refused.on('error', (error) => resolve(error.message)))).toContain('503');
  expect(faults).toEqual([]);
  const { createRelay } = await import('@mangrove/relay/node');
  const relay = createRelay({ adminToken: 'two words of a secret' });
  await expect(relay.ready()).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  await relay.close();
});

test('[SY6] draining acknowledges what it has taken, and what it acknowledged is there', async () => {
  const { relay, url } = await startRelay();
  const clients = await Promise.all([1, 2, 3].map(() => ProtocolClient.connect(url, new TestReplica('room'))));
  for (const client of clients) for (const delta of client.replica.drafts(100)) client.push([delta]);
  await Promise.all(clients.map((client) => client.next('ack')));
  await relay.drain({ withinMs: 300 });
  const { vector } = await readRoomVersion(url, 'room');
  for (const client of clients) {
    expect(await client.closed).toBe(1001);
    const acknowledged = client.messages.flatMap((message) => (message.kind === 'ack' ? message.seqs : []));
    expect(vector[client.replica.id]).toBe(Math.max(...acknowledged));
  }
});

test('an admin is also who has a token with that right for every room', async () => {
  const rights = new Map<string, ('read' | 'admin')[]>([
    ['reader', ['read']],
    ['admin', ['admin']],
  ]);
  const { url } = await startRelay({
    async authenticate({ token = '', room }) {
      const given = rights.get(token);
      return given === undefined || room !== '*' ? null : { rights: given };
    },
  });
  const drain = async (token: string) =>
    (await fetch(`${url}/admin/drain`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } })).status;
  expect([await drain('nobody'), await drain('reader'), await drain('admin')]).toEqual([401, 403, 200]);
});

test('[SY1] no token and no ticket is in anything that the relay writes, whatever is done with it', async () => {
  const folder = await makeFolder();
  const [key, admin] = [join(folder, 'key'), join(folder, 'admin')];
  await Promise.all([writeFile(key, `${SECRET}\n`), writeFile(admin, 'a-secret-of-the-operators\n')]);
  const flags = [
    '--ticket-key-file',
    key,
    '--admin-token-file',
    admin,
    '--recheck-seconds',
    '1',
    '--log-level',
    'debug',
  ];
  const { child, url, exited, output } = await run(['--port', '0', '--data', join(folder, 'data'), ...flags]);
  const secret = new TextEncoder().encode(SECRET);
  const grant = { key: secret, rooms: ['*'], rights: ['read', 'write'] as const, subject: 'ann' };
  const [good, later] = [await issueTicket(grant), await issueTicket(grant)];
  const forged = await new SignJWT({ rooms: ['*'] }).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32));
  const client = await ProtocolClient.connect(url, new TestReplica('room'), { token: good });
  await client.pushed(client.replica.drafts(2));
  for (const token of [good, forged, 'no-token-at-all-7f3a']) {
    const denied = await ProtocolClient.open(url, new TestReplica('room'));
    denied.sendHello({ token });
    await denied.closed;
  }
  // Where they do not belong.
  await fetch(`${url}/rooms/room/version?token=${later}`, {
    headers: { Authorization: `Bearer ${forged}`, Cookie: `t=${good}` },
  });
  await fetch(`${url}/healthz?ticket=${good}`);
  await fetch(`${url}/admin/drain?token=${good}`, { method: 'POST', headers: { Authorization: `Bearer ${later}` } });
  const odd = new WebSocket(`${url.replace('http', 'ws')}/parties/relay/room?token=${later}`);
  await new Promise((resolve) => odd.on('open', resolve));
  odd.send(`a text with ${good}`);
  await fetch(`${url}/metrics`);
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(output()).toContain('"msg":"connection admitted"');
  expect(output()).toContain('"subject":"ann"');
  expect(output()).toContain('"msg":"connection denied"');
  expect(output()).toContain('"path":"/healthz"');
  for (const token of [good, later, forged, 'no-token-at-all-7f3a', SECRET, 'a-secret-of-the-operators'])
    for (const part of [token, token.split('.').at(-1) as string]) expect(output()).not.toContain(part);
});

test('it serves https and wss by itself', async () => {
  const { url } = await run([
    '--port',
    '0',
    '--data',
    await makeFolder(),
    '--tls-cert',
    tls('cert'),
    '--tls-key',
    tls('key'),
  ]);
  expect(url).toMatch(/^https:/);
  const ca = readFileSync(tls('cert'));
  const status = await new Promise((resolve, reject) => {
    get(`${url}/readyz`, { ca }, (response) => resolve(response.resume().statusCode)).on('error', reject);
  });
  expect(status).toBe(200);
  const socket = new WebSocket(`${url.replace('https', 'wss')}/parties/relay/room`, { ca });
  expect(
    await new Promise((resolve, reject) =>
      socket.on('error', reject).on('message', (data: Buffer) => resolve(data[0])),
    ),
  ).toBe(1);
  socket.terminate();
});

test('every option can come from the environment, and a flag counts before it', async () => {
  const data = await makeFolder();
  const env = { MANGROVE_PORT: '0', MANGROVE_DATA: data, MANGROVE_LOG_LEVEL: 'silent', MANGROVE_ROOM_DELTAS_MAX: '2' };
  const { url, output } = await run([], env);
  expect(output()).toBe(`Mangrove relay is ready at ${url}\n`);
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  client.push(client.replica.drafts(3));
  expect(await client.next('refused')).toMatchObject({ code: 'QUOTA_EXCEEDED', seq: 3 });
});
