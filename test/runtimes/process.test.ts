import { readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { deriveRoomId } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { hash } from '../support/keys.js';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, readRoomVersion, runCli, spawnRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

test('[SY6] SIGTERM in the middle of pushing: sockets are closed with 1001, what was acknowledged is on disk, the exit code is 0', async () => {
  const data = await makeFolder();
  const { child, url, exited } = await spawnRelay(data);
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  for (const delta of client.replica.drafts(2_000)) client.push([delta]);
  await client.next('ack');
  child.kill('SIGTERM');
  expect(await client.closed).toBe(1001);
  expect(await exited).toBe(0);
  const last = client.messages.findLast((message) => message.kind === 'ack');
  const again = await spawnRelay(data);
  const { offset, vector } = await readRoomVersion(again.url, 'room');
  expect(vector).toEqual({ [client.replica.id]: Math.max(...(last?.seqs ?? [])) });
  expect(offset).toBe(vector[client.replica.id]);
  again.child.kill('SIGINT');
  expect(await again.exited).toBe(0);
});

test('a new disk is a new store: the key and the store id are kept with the data', async () => {
  const data = await makeFolder();
  const welcomeOf = async (folder: string) => {
    const { url, child, exited } = await spawnRelay(folder);
    const { welcome } = await ProtocolClient.open(url, new TestReplica('room'));
    child.kill('SIGTERM');
    await exited;
    return welcome;
  };
  const first = await welcomeOf(data);
  const second = await welcomeOf(data);
  const other = await welcomeOf(await makeFolder());
  expect([second.storeId, second.relayKey]).toEqual([first.storeId, first.relayKey]);
  expect(other.storeId).not.toEqual(first.storeId);
  expect(other.relayKey).not.toEqual(first.relayKey);
  expect(second.challenge).not.toEqual(first.challenge);
});

test('[SY6] a relay whose data folder is deleted under it acknowledges nothing and says that it is not ready', async () => {
  const data = await makeFolder();
  const { url } = await spawnRelay(data);
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  client.push([client.replica.draft()]);
  await client.next('ack');
  await rm(data, { recursive: true });
  client.push([client.replica.draft()]);
  await client.closed;
  expect(client.messages.filter(({ kind }) => kind === 'ack')).toHaveLength(1);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test('no room name makes a file outside the data folder, and no two names share a room', async () => {
  const folder = await makeFolder();
  const { url } = await spawnRelay(join(folder, 'data'));
  const good = [
    '..',
    '../..',
    '../../evil',
    '/etc/passwd',
    '..\\..\\evil',
    'C:\\evil',
    '.',
    'a/b',
    'a%2fb',
    'a%00b',
    'nul\0byte',
    'line\nbreak',
    '~/evil',
    '$HOME',
    '{{7*7}}',
    '__proto__',
    'constructor',
    '\u00e9',
    'e\u0301',
    '\u202Egnp.exe',
    '漢字'.repeat(80),
    '🌿',
    'x'.repeat(512),
    ' ',
  ];
  const roomIds = new Set(good.map((name) => deriveRoomId(hash, name, { history: 'current', encrypted: false })));
  expect(roomIds.size).toBe(good.length);
  for (const [i, name] of good.entries()) {
    // Raw, as an address in a WebSocket constructor would lose its dots before they are sent.
    expect(await upgradeStatus(url, `/parties/relay/${encodeURIComponent(name)}`), name).toBe(101);
    if (name === '..' || name === '.') continue;
    const client = await ProtocolClient.connect(url, new TestReplica(name));
    await client.pushed(client.replica.drafts(i + 1));
    expect((await readRoomVersion(url, name)).offset, name).toBe(i + 1);
  }
  const bad = [
    ['/parties/relay/', 404],
    ['/parties/relay', 404],
    ['/parties/other/room', 404],
    ['/parties/relay/a/b', 404],
    ['/parties/relay/../../etc/passwd', 404],
    ['/parties/relay/%', 400],
    ['/parties/relay/%ff', 400],
    ['/parties/relay/%ed%a0%80', 400],
    [`/parties/relay/${'x'.repeat(513)}`, 400],
    [`/parties/relay/${'x'.repeat(10_000)}`, 400],
    ['/', 404],
  ] as const;
  for (const [path, status] of bad) expect(await upgradeStatus(url, path), path.slice(0, 60)).toBe(status);
  expect(await readdir(folder)).toEqual(['data']);
  expect((await readdir(join(folder, 'data'))).every((file) => /^(data|lock)\.mdb(-lock)?$/.test(file))).toBe(true);
});

test('/version tells of known rooms and makes no unknown ones', async () => {
  const { url } = await spawnRelay(await makeFolder());
  await expect(readRoomVersion(url, 'nobody')).rejects.toThrow('404');
  await expect(readRoomVersion(url, 'nobody')).rejects.toThrow('404');
  expect((await fetch(`${url}/rooms/%ff/version`)).status).toBe(400);
  expect((await fetch(`${url}/rooms/room/other`)).status).toBe(404);
  expect((await fetch(`${url}/rooms/room/version`, { method: 'POST' })).status).toBe(405);
  expect((await fetch(`${url}/parties/relay/room`)).status).toBe(426);
  expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
  expect(await (await fetch(`${url}/healthz`)).text()).toBe('ok\n');
  expect(await (await fetch(`${url}/readyz`)).text()).toBe('ready\n');
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^mangrove_connections 0$/m);
});

test('the command explains itself, and bad arguments exit with 2 and one line', async () => {
  const help = await runCli('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toContain('--port');
  expect(await runCli('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  const wrong = [['--port', 'x'], ['--port', '65536'], ['--port=-1'], ['--nonsense'], ['stray'], ['--data', '']];
  const answers = await Promise.all(wrong.map((args) => runCli(...args)));
  for (const [i, { code, stdout, stderr }] of answers.entries()) {
    expect({ code, stdout }, wrong[i]?.join(' ')).toEqual({ code: 2, stdout: '' });
    expect(stderr, wrong[i]?.join(' ')).toMatch(/^mangrove-relay: [^\n]+\n$/);
  }
});

test('a port that is taken exits with 1 and says so', async () => {
  const { url } = await spawnRelay(await makeFolder());
  const { code, stderr } = await runCli('--port', new URL(url).port, '--data', await makeFolder());
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('is in use') });
});

/** The status that a WebSocket handshake of exactly this path is answered with. */
function upgradeStatus(url: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const asking = request({
      hostname,
      port,
      path,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    });
    asking.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.statusCode);
    });
    asking.on('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asking.on('error', reject);
    asking.end();
  });
}
