import { defaultLimits, makeContext, MangroveError, shortIdToBytes, trieKeyOf } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { NOW_MS, RoomPeer, roomId, RoomWorld } from '../../../test/support/relay-room.js';
import { Rooms } from './rooms.js';

test('[SG3] a connection whose token expires is let go, so that it comes back with a fresh one', async () => {
  const world = new RoomWorld({
    authenticate: async () => ({ rights: ['read', 'write'], expiresAtMs: NOW_MS + 1_000 }),
  });
  const room = await world.open();
  const peer = new RoomPeer(room);
  await peer.hello();
  world.nowMs += 999;
  room.sweep();
  expect(peer.closeCode).toBeUndefined();
  world.nowMs += 1;
  room.sweep();
  expect(peer.closeCode).toBe(1008);
  expect(room.linkCount).toBe(0);
});

test('[SY1] a connection that never says hello is let go', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const peer = new RoomPeer(room);
  world.nowMs += 30_001;
  room.sweep();
  expect(peer.closeCode).toBe(1008);
});

test('[ID1, SY1] a room begins with the first who may write: who may only read is to come back', async () => {
  const world = new RoomWorld({
    authenticate: async ({ token }) => ({ rights: token === 'reader' ? ['read'] : ['read', 'write'] }),
  });
  const room = await world.open();
  const early = new RoomPeer(room, 1);
  early.greet({ token: 'reader' });
  await expect.poll(() => early.closeCode).toBe(4001);
  expect(early.messages.at(-1)).toMatchObject({ kind: 'fault', code: 'ROOM_NOT_BEGUN' });
  expect([room.exists, world.environment.rooms()]).toEqual([false, []]);
  await new RoomPeer(room).hello();
  await new RoomPeer(room, 1).hello({ token: 'reader' });
  expect((await world.open()).exists).toBe(true);
});

test('[SY25] a connection with the right to write alone is told nothing of others, whatever they do', async () => {
  const world = new RoomWorld({
    authenticate: async ({ token }) => ({ rights: token === 'writer' ? ['write'] : ['read', 'write'] }),
  });
  const room = await world.open();
  const [alice, sensor] = [new RoomPeer(room, 1), new RoomPeer(room, 2)];
  await alice.hello();
  alice.push(alice.draft());
  await alice.acknowledged(1);
  sensor.greet({ token: 'writer' });
  await expect.poll(() => sensor.messages.length).toBe(2);
  alice.push(alice.draft());
  const keyId = alice.draft().keyId;
  alice.say({ kind: 'presence', replica: alice.replica, tab: 1, keyId, state: Uint8Array.of(1) });
  await new RoomPeer(room, 3).hello();
  const own = sensor.draft();
  sensor.push(own);
  await sensor.acknowledged(1);
  world.nowMs += 60_000;
  alice.push(alice.draft());
  await alice.answered();
  expect(alice.deltas).toContainEqual(own.bytes);
  expect(sensor.messages.map(({ kind }) => kind)).toEqual(['welcome', 'admitted', 'ack']);
  expect(sensor.messages.at(-1)).toMatchObject({ position: undefined });
});

test('[SY6] pushes that come while a transaction is under way share the next one', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const peers = Array.from({ length: 10 }, (_, i) => new RoomPeer(room, i));
  for (const peer of peers) await peer.hello();
  const before = world.counters.get('commits');
  for (let round = 0; round < 5; round++) for (const peer of peers) peer.push(peer.draft());
  for (const peer of peers) await peer.acknowledged(5);
  expect(world.counters.get('commits') - before).toBeLessThanOrEqual(5);
  expect((await room.version())?.offset).toBe(50);
});

test('[SY6] what is acknowledged is behind a barrier: a power cut takes none of it', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const peer = new RoomPeer(room);
  await peer.hello();
  world.durabilities.clear();
  peer.push(peer.draft());
  await peer.acknowledged(1);
  expect([...world.durabilities]).toEqual(['strict']);
});

test('[SY6] an acknowledgement comes after everything that its position counts', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const peers = [new RoomPeer(room, 1), new RoomPeer(room, 2)] as const;
  for (const peer of peers) await peer.hello();
  for (const peer of peers) peer.push(peer.draft());
  for (const [i, peer] of peers.entries()) {
    await peer.acknowledged(1);
    const acked = peer.messages.findIndex(({ kind }) => kind === 'ack');
    const before = peer.messages.slice(0, acked);
    const told = before.flatMap((message) => (message.kind === 'deltas' ? message.deltas : []));
    expect(told, `what peer ${1 - i} pushed in the same commit`).toHaveLength(1);
  }
});

test('[SY8] a replay is acknowledged by a relay whose clock was set back since, what is new from too far ahead is refused', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const peer = new RoomPeer(room);
  await peer.hello();
  const taken = peer.draft();
  peer.push(taken);
  await peer.acknowledged(1);
  world.nowMs -= defaultLimits.clockAheadMsMax + 1_000;
  peer.messages.length = 0;
  peer.push(taken);
  peer.push(peer.draft());
  const aheadMs = defaultLimits.clockAheadMsMax + 1_000;
  await expect
    .poll(() => peer.messages.filter(({ kind }) => kind === 'refused'))
    .toMatchObject([
      { seq: 2, code: 'CLOCK_AHEAD', facts: { aheadMs, clockAheadMsMax: defaultLimits.clockAheadMsMax } },
    ]);
  await peer.acknowledged(1);
  expect((await room.version())?.offset).toBe(1);
});

test('[SY10] what somebody reports stays where its signature is good', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const [author, liar] = [new RoomPeer(room), new RoomPeer(room, 1)];
  await author.hello();
  await liar.hello();
  const delta = author.draft();
  author.push(delta);
  await author.acknowledged(1);
  const before = await room.version();
  liar.say({ kind: 'report', trieKey: trieKeyOf(delta) });
  await expect.poll(() => world.counters.get('deltas_verified')).toBe(1);
  // What is pushed later is committed after whatever comes of the report.
  liar.push(liar.draft());
  await liar.acknowledged(1);
  expect(world.counters.get('deltas_evicted')).toBe(0);
  const store = world.environment.room(roomId);
  expect(await store.transact((tx) => tx.get('deltas', trieKeyOf(delta)), { mode: 'read' })).toEqual(delta.bytes);
  expect((await room.version())?.offset).toBe((before?.offset ?? 0) + 1);
});

test('[SY24] the connection of a replica that was opened last takes the place of any other', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const [former, latter] = [new RoomPeer(room), new RoomPeer(room)];
  await former.hello();
  const first = former.draft();
  former.push(first);
  await former.acknowledged(1);
  await latter.hello();
  expect(latter.admitted).toMatchObject({ lastSeq: 1, lastId: shortIdToBytes(first.id) });
  await expect.poll(() => former.closeCode).toBe(4000);
  expect(former.messages.at(-1)).toMatchObject({ kind: 'fault', code: 'DOT_REUSED' });
  expect(room.linkCount).toBe(1);
  expect(world.counters.get('connections_displaced')).toBe(1);
  latter.draft();
  latter.push(latter.draft());
  await latter.acknowledged(2);
});

test('[SY24] what an earlier connection has pushed is not taken after a later one was admitted', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const [former, latter, bob] = [new RoomPeer(room), new RoomPeer(room), new RoomPeer(room, 1)];
  await former.hello();
  await bob.hello();
  // Its push waits for the transaction that is under way, and so does the admission that is asked for meanwhile.
  bob.push(bob.draft());
  const admitted = latter.hello();
  former.push(former.draft());
  former.link.closed();
  await admitted;
  await bob.acknowledged(1);
  const { lastSeq } = latter.admitted;
  await room.close();
  expect((await room.version())?.vector.get(former.replica) ?? 0, 'as the newcomer was told').toBe(lastSeq);
});

test('[SY24] a connection that was opened earlier and says hello later is the one that has to go', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const [former, latter] = [new RoomPeer(room), new RoomPeer(room)];
  await latter.hello();
  former.greet();
  await expect.poll(() => former.closeCode).toBe(4000);
  expect(latter.closeCode).toBeUndefined();
  latter.push(latter.draft());
  await latter.acknowledged(1);
});

test('[SY6] nothing is acknowledged or forwarded when the disk is full, and the room lives on', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const [alice, bob] = [new RoomPeer(room, 1), new RoomPeer(room, 2)];
  await alice.hello();
  await bob.hello();
  world.failure = new MangroveError('STORAGE_FULL');
  alice.push(alice.draft());
  await expect.poll(() => alice.closeCode).toBe(1013);
  expect(bob.deltas).toEqual([]);
  expect(bob.closeCode).toBeUndefined();
  world.failure = undefined;
  bob.push(bob.draft());
  await bob.acknowledged(1);
  expect((await room.version())?.offset).toBe(1);
});

test('a bug that one push hits closes its connection, not those whose pushes share its transaction', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const peers = [1, 2, 3].map((seed) => new RoomPeer(room, seed));
  for (const peer of peers) await peer.hello();
  const [alice, mallory, bob] = peers as [RoomPeer, RoomPeer, RoomPeer];
  const poison = mallory.draft();
  world.poison = poison;
  for (const [peer, delta] of [
    [alice, alice.draft()],
    [mallory, poison],
    [bob, bob.draft()],
  ] as const) {
    peer.push(delta);
  }
  await alice.acknowledged(1);
  await bob.acknowledged(1);
  expect([alice.closeCode, mallory.closeCode, bob.closeCode]).toEqual([undefined, 1011, undefined]);
  expect(world.faults).toHaveLength(1);
  expect((await room.version())?.offset).toBe(2);
});

test('superseded bytes are kept for a while and then pruned', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const peer = new RoomPeer(room);
  await peer.hello();
  const first = peer.draft();
  peer.push(first);
  peer.push(peer.draft({ context: makeContext(new Map([[peer.replica, first.hlc]]), []) }));
  await peer.acknowledged(2);
  expect(await world.count('retained')).toBe(1);
  world.nowMs += defaultLimits.retainSupersededMs - 1;
  peer.push(peer.draft());
  await peer.acknowledged(3);
  expect(await world.count('retained')).toBe(1);
  world.nowMs += 60_001;
  peer.push(peer.draft());
  await peer.acknowledged(4);
  expect(await world.count('retained')).toBe(0);
});

test('[CX8] a room that nobody uses any more is cleaned too: of superseded bytes, and of what its log says of them', async () => {
  const world = new RoomWorld();
  const rooms = new Rooms(world.ports);
  const peer = new RoomPeer(await rooms.open('room'));
  await peer.hello();
  const first = peer.draft();
  peer.push(first);
  peer.push(peer.draft({ context: makeContext(new Map([[peer.replica, first.hlc]]), []) }));
  await peer.acknowledged(2);
  peer.link.closed();
  world.nowMs += defaultLimits.retainSupersededMs - 1_000;
  await rooms.sweep();
  expect([rooms.size, await world.count('retained'), await world.count('log')]).toEqual([0, 1, 2]);
  world.nowMs += 3_600_000;
  await rooms.sweep();
  expect([await world.count('retained'), await world.count('log')]).toEqual([0, 1]);
  expect((await rooms.version('room'))?.offset).toBe(2);
  await rooms.close();
});

test('idle rooms are let go and come back as they were; names that nobody was admitted to leave nothing', async () => {
  const world = new RoomWorld();
  const rooms = new Rooms(world.ports);
  const peer = new RoomPeer(await rooms.open('room'));
  await peer.hello();
  peer.push(peer.draft());
  await peer.acknowledged(1);
  expect(await rooms.version('made up')).toBeUndefined();
  await rooms.open('made up too');
  expect(rooms.size).toBe(2);
  world.nowMs += 5_000;
  await rooms.sweep();
  expect(rooms.size).toBe(1);
  peer.link.closed();
  world.nowMs += 60_000;
  await rooms.sweep();
  expect(rooms.size).toBe(0);
  expect(world.environment.rooms()).toEqual([roomId]);
  expect((await rooms.version('room'))?.offset).toBe(1);
  const again = new RoomPeer(await rooms.open('room'), 9);
  await again.hello();
  await expect.poll(() => again.deltas.length).toBe(1);
});
