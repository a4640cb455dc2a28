import { type Hlc, messageToBytes, messageToFrames } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { RoomPeer, RoomWorld } from '../../../test/support/relay-room.js';

const ROUNDS = 12;

test('[SY6, SY17, SY21, SY24] a room that is made anew after each keystroke goes on with every connection', async () => {
  const world = new RoomWorld({ limits: { positionRestMs: 5 } });
  let room = await world.open();
  const [alice, bob] = [new RoomPeer(room, 1), new RoomPeer(room, 2)];
  for (const peer of [alice, bob]) await peer.hello();
  const peersBefore = bob.messages.filter(({ kind }) => kind === 'peer').length;
  let prev = 0 as Hlc;
  for (let round = 0; round < ROUNDS; round++) {
    const delta = alice.draft({ prev });
    prev = delta.hlc;
    alice.push(delta);
    await alice.acknowledged(round + 1);
    await expect.poll(() => bob.deltas.length).toBe(round + 1);
    room = await world.open();
    for (const peer of [bob, alice]) await peer.moveTo(room);
  }
  expect([alice, bob].map(({ closeCode }) => closeCode)).toEqual([undefined, undefined]);
  expect(alice.messages.filter(({ kind }) => kind === 'fault')).toEqual([]);
  expect(room.linkCount).toBe(2);
  // Each is still who it was: nobody is told of a newcomer, and one who comes again takes the place of its former connection.
  expect(bob.messages.filter(({ kind }) => kind === 'peer')).toHaveLength(peersBefore);
  const again = new RoomPeer(room, 1);
  await again.hello();
  await expect.poll(() => alice.closeCode).toBe(4000);
  expect(world.faults).toEqual([]);
});

test('[SY6] what a connection may still be sent is remembered: nobody is sent more than its window', async () => {
  const world = new RoomWorld();
  let room = await world.open();
  const [alice, bob] = [new RoomPeer(room, 1), new RoomPeer(room, 2)];
  await alice.hello();
  await bob.hello({ window: 1_000 });
  for (let n = 1; n <= 20; n++) {
    alice.push(alice.draft({}, new Uint8Array(300)));
    await alice.acknowledged(n);
    room = await world.open();
    for (const peer of [alice, bob]) await peer.moveTo(room);
  }
  const sent = bob.deltas.length;
  expect(sent).toBeLessThan(5);
  bob.say({ kind: 'credit', bytes: 100_000 });
  await expect.poll(() => bob.deltas.length).toBe(20);
});

test('[SG4, SY1, SY25] its keys, its rights and its end are remembered', async () => {
  const world: RoomWorld = new RoomWorld({
    authenticate: async ({ token }) =>
      token === 'reader' ? { rights: ['read'], expiresAtMs: world.nowMs + 1_000 } : { rights: ['read', 'write'] },
  });
  const first = await world.open();
  const [writer, reader] = [new RoomPeer(first, 1), new RoomPeer(first, 2)];
  await writer.hello();
  await reader.hello({ token: 'reader' });
  writer.link.shown.add(first.configFor(undefined).room, [new Uint8Array(32).fill(3)]);
  const second = await world.open();
  for (const peer of [writer, reader]) await peer.moveTo(second);
  expect(writer.link.shown.size).toBe(1);
  reader.push(reader.draft());
  await expect.poll(() => reader.messages.some(({ kind }) => kind === 'fault')).toBe(true);
  expect(await world.count('deltas')).toBe(0);
  world.nowMs += 1_000;
  second.sweep();
  expect([writer.closeCode, reader.closeCode]).toEqual([undefined, 1008]);
});

test('[SY13] in the middle of a message there is nothing to remember', async () => {
  const world = new RoomWorld();
  const peer = new RoomPeer(await world.open(), 1);
  await peer.hello();
  const frames = messageToFrames(
    messageToBytes({ kind: 'push', repair: false, deltas: [peer.draft({}, new Uint8Array(300)).bytes] }),
    { frameBytesMax: 100 },
  );
  peer.link.receive(frames[0] as Uint8Array);
  await peer.link.settled();
  expect(peer.link.remember()).toBeUndefined();
  for (const frame of frames.slice(1)) peer.link.receive(frame);
  await peer.link.settled();
  expect(peer.link.remember()).toBeDefined();
});
