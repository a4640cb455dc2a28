import { defaultLimits, makeContext } from '@mangrove/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { NodeReplica } from '../support/node-replica.js';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, readRoomVersion, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';
import { until } from '../support/until.js';
import { WorkerdProcess } from '../support/workerd/workerd-process.js';
import { readRows } from '../support/workerd/workerd-relay.js';

/** workerd lets go of an object after ten seconds in which nothing happens. */
const HIBERNATES_MS = 11_500;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Keystrokes, told by their difference from the one before. */
function type(client: ProtocolClient, count: number) {
  const typed = Array.from({ length: count }, () => client.replica.draft({ body: new Uint8Array(30).fill(7) }));
  return client.pushed(typed).then(() => typed);
}

test('[SY6, SY21] an object that hibernates between two keystrokes goes on with the sockets that it had, and nobody notices', async () => {
  const { url, faults } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  await bob.next('caught-up');
  await type(alice, 5);
  const before = (await readRows(url, 'room')).instances;
  await sleep(HIBERNATES_MS);
  const told = [alice, bob].map(({ messages }) => messages.length);
  const typed = await type(alice, 1);
  await bob.has(typed);
  expect((await readRows(url, 'room')).instances).toBe(before + 1);
  expect(await bob.sendText('ping')).toBe('pong');
  await alice.settled();
  const since = [alice, bob].map(({ messages }, i) => messages.slice(told[i]).map(({ kind }) => kind));
  expect(since[1]).toEqual(['deltas']);
  expect(since[0]).toEqual(['ack', 'ahead', 'deltas', 'vector', 'caught-up']);
  expect([alice.closeCode, bob.closeCode]).toEqual([undefined, undefined]);
  expect((await readRoomVersion(url, 'room')).vector).toEqual({ [alice.replica.id]: 6 });
  // It was woken by a socket that ends, and says so to the others.
  await sleep(HIBERNATES_MS);
  await alice.close();
  await bob.next('peer', ({ present }) => !present);
  expect(faults).toEqual([]);
});

test('[SY1] who was greeted before the room began and says hello after the object has hibernated comes again', async () => {
  const { url, faults } = await startRelay();
  const client = await ProtocolClient.open(url, new TestReplica('room'));
  await sleep(HIBERNATES_MS);
  client.sendHello();
  expect(await client.closed).toBe(1013);
  await ProtocolClient.connect(url, client.replica);
  expect(faults).toEqual([]);
});

test.each([false, true])(
  '[SY6] two people of the shipped client write through restarts, objects that forget: %s',
  async (forgetful) => {
    const relay = await WorkerdProcess.start({ forgetful });
    onTestFinished(() => relay.stop());
    const replicas = await Promise.all(Array.from({ length: 2 }, () => NodeReplica.open(relay.url, 'team')));
    for (const replica of replicas) onTestFinished(() => replica.close());
    const written: string[] = [];
    for (let round = 0; round < 3; round++) {
      const writing = replicas.flatMap((replica, who) =>
        Array.from({ length: 30 }, (_, n) => {
          const id = `${round} ${who} ${n}`;
          written.push(id);
          return replica.put([id], n);
        }),
      );
      await writing[0];
      await relay.kill();
      await relay.start();
      await Promise.all(writing);
    }
    const agreed = async () => {
      const root = (await relay.version('team'))?.root;
      return replicas.every(({ status }) => status.sync === 'in-sync' && status.root === root);
    };
    await until('one root', agreed, { withinMs: 60_000 });
    for (const replica of replicas) expect((await replica.read()).toSorted()).toEqual(written.toSorted());
  },
);

test('a token that expires ends its connection, though the object sleeps meanwhile', async () => {
  const { url } = await startRelay({
    authenticate: async () => ({ rights: ['read', 'write'], expiresAtMs: Date.now() + 2_000 }),
  });
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  expect(await client.closed).toBe(1008);
});

test('[CX8] what has outlived its time goes by an alarm, and without anything to clean there is none', async () => {
  const { url } = await startRelay({ limits: { ...defaultLimits, retainSupersededMs: 1_000 } });
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  const [first] = await type(client, 1);
  if (first === undefined) throw new Error('nothing was typed');
  const over = client.replica.draft({ context: makeContext(new Map([[client.replica.id, first.hlc]]), []) });
  await client.pushed([over]);
  expect((await readRows(url, 'room')).tables).toMatchObject({ deltas: 1, retained: 1 });
  await until('it is gone', async () => (await readRows(url, 'room')).tables.retained === 0, { withinMs: 20_000 });
});

test('a room that nobody was admitted to leaves nothing behind, whatever was asked of it', async () => {
  const storage = await makeFolder();
  const { url } = await startRelay({ storage });
  const stranger = await ProtocolClient.open(url, new TestReplica('room'));
  stranger.push(stranger.replica.drafts(1));
  await stranger.next('fault');
  await stranger.close();
  expect((await fetch(`${url}/rooms/room/version`)).status).toBe(404);
  expect(await readRows(url, 'room')).toMatchObject({ written: 0, tables: {} });
});

test('addresses that are none of a room are answered as in Node', async () => {
  const { url } = await startRelay({ allowedOrigins: ['https://app.test'] });
  expect(await (await fetch(`${url}/healthz`)).text()).toBe('ok\n');
  const statusOf = async (path: string, init?: RequestInit) => (await fetch(`${url}${path}`, init)).status;
  expect(await statusOf('/rooms/nobody/version')).toBe(404);
  expect(await statusOf('/rooms/%ff/version')).toBe(400);
  expect(await statusOf(`/rooms/${'x'.repeat(513)}/version`)).toBe(400);
  expect(await statusOf('/rooms/room/other')).toBe(404);
  expect(await statusOf('/rooms/room/version', { method: 'POST' })).toBe(405);
  expect(await statusOf('/parties/relay/room')).toBe(426);
  expect(await statusOf('/elsewhere')).toBe(404);
});
