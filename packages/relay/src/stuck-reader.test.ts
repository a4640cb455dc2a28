import { bytesToHex, defaultLimits, deriveKeyId, type Message } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { RoomPeer, roomId, RoomWorld } from '../../../test/support/relay-room.js';
import { nodeHash } from './runtimes/node-crypto.js';

// A peer asks for something, reads nothing of the answer, and the room goes on: what waits for it at the relay is bounded.

const keyId = deriveKeyId(nodeHash, roomId, { kind: 'document', collection: '', id: 'notes' });
const turn = () => new Promise((resolve) => setTimeout(resolve));

async function meet({ sendBufferBytesMax = defaultLimits.sendBufferBytesMax } = {}) {
  const world = new RoomWorld({ limits: { sendBufferBytesMax } });
  const room = await world.open();
  const [writer, reader] = [new RoomPeer(room, 1), new RoomPeer(room, 2)];
  await writer.hello();
  await reader.hello();
  await turn();
  reader.messages.length = 0;
  reader.stop();
  // The answer is not read before the peer has read what it was sent already.
  reader.say({ kind: 'want', wanted: [{ trieKey: new Uint8Array(64), from: 0, count: 1 }] });
  await turn();
  return { world, writer, reader };
}

const presence = (writer: RoomPeer, tab: number, state: number[] | Uint8Array): Message => ({
  kind: 'presence',
  replica: writer.replica,
  tab,
  keyId,
  state: Uint8Array.from(state),
});

test('[SY12] of each presence the newest waits for who reads nothing, in the order in which they came', async () => {
  const { writer, reader } = await meet();
  for (let n = 0; n < 2_000; n++) for (const tab of [1, 2]) writer.say(presence(writer, tab, [n >> 8, n & 255]));
  writer.say(presence(writer, 1, [9]));
  await turn();
  reader.goOn();
  const shown = () =>
    reader.messages.flatMap((told) => (told.kind === 'presence' ? [[told.tab, bytesToHex(told.state)]] : []));
  await expect.poll(shown).toEqual([
    [2, '07cf'],
    [1, '09'],
  ]);
  expect(reader.closeCode).toBeUndefined();
});

test('[SY17] of commits a few wait for who reads nothing, and the log brings all of them', async () => {
  const { writer, reader } = await meet();
  const deltas = Array.from({ length: 40 }, () => writer.draft({}, new Uint8Array(200_000)));
  const small = writer.draft();
  for (const delta of deltas) writer.push(delta);
  writer.push(small);
  await writer.acknowledged(small.seq);
  expect(reader.deltas).toEqual([]);
  reader.goOn();
  await expect.poll(() => reader.messages.some(({ kind }) => kind === 'caught-up')).toBe(true);
  expect(reader.messages.filter(({ kind }) => kind === 'caught-up')).toHaveLength(1);
  expect(reader.deltas).toHaveLength(41);
  expect(reader.deltas.at(-1)).toEqual(small.bytes);
  const later = writer.draft();
  writer.push(later);
  await expect.poll(() => reader.deltas.at(-1)).toEqual(later.bytes);
  expect(reader.closeCode).toBeUndefined();
});

test('[SY17] who reads nothing is let go when more waits than a send buffer may hold', async () => {
  const { world, writer, reader } = await meet({ sendBufferBytesMax: 200_000 });
  for (let tab = 0; tab < 3; tab++) writer.say(presence(writer, tab, new Uint8Array(60_000)));
  await turn();
  expect(reader.closeCode).toBeUndefined();
  writer.say(presence(writer, 3, new Uint8Array(60_000)));
  await expect.poll(() => reader.closeCode).toBe(1013);
  expect(world.counters.get('connections_slow')).toBe(1);
  expect(writer.closeCode).toBeUndefined();
  reader.goOn();
  await turn();
  expect(reader.messages.filter(({ kind }) => kind === 'presence')).toEqual([]);
});
