import { randomBytes } from 'node:crypto';
import { type Diff, EMPTY_ROOT } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { RoomPeer, RoomWorld } from '../../../test/support/relay-room.js';
import { Turns } from './turns.js';

type Entry = Diff['entries'][number];
/** At made-up places, four nibbles deep. */
const slotOf = (i: number) => i.toString(16).padStart(4, '0') as Entry['slot'];

test('the first who asks in a turn has it, the others the turns that follow, in order', async () => {
  const later: (() => void)[] = [];
  const turns = new Turns((run) => later.push(run));
  const had: string[] = [];
  const ask = (who: string) => turns.take().then(() => had.push(who));
  const pass = async () => {
    later.shift()?.();
    await new Promise((resolve) => setTimeout(resolve));
  };
  for (const who of ['a', 'b', 'c']) void ask(who);
  await new Promise((resolve) => setTimeout(resolve));
  expect(had).toEqual(['a']);
  await pass();
  expect(had).toEqual(['a', 'b']);
  void ask('d');
  await pass();
  await pass();
  expect(had).toEqual(['a', 'b', 'c', 'd']);
  await pass();
  expect(later).toEqual([]);
  await ask('e');
  expect(had.at(-1)).toBe('e');
});

test('[SY4, SY6] questions of thousands of entries are answered a part a turn, and commits wait for none of them', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const [alice, mallory] = [new RoomPeer(room, 1), new RoomPeer(room, 2)];
  for (const peer of [alice, mallory]) await peer.hello();
  for (let n = 0; n < 50; n++) alice.push(alice.draft());
  await alice.acknowledged(50);
  const waiting: (() => void)[] = [];
  let turns = 0;
  world.later = (run) => waiting.push(run);
  const entries = Array.from({ length: 8_192 }, (_, i): Entry => {
    const slot = slotOf(i);
    return i % 2 === 0 ? { kind: 'sum', slot, count: 5, sum: i } : { kind: 'list', slot, cuts: [1, 2, 3] };
  });
  for (let n = 0; n < 4; n++)
    mallory.say({ kind: 'diff', salt: new Uint8Array(randomBytes(8)), root: EMPTY_ROOT, entries });
  const answered = () => mallory.messages.filter(({ kind }) => kind === 'diff').length;
  alice.push(alice.draft());
  await alice.acknowledged(51);
  expect([answered(), turns]).toEqual([0, 0]);
  while (waiting.length > 0) {
    turns++;
    waiting.shift()?.();
    await new Promise((resolve) => setTimeout(resolve));
  }
  expect(answered()).toBe(4);
  expect(turns).toBeGreaterThanOrEqual(4 * (8_192 / 256));
});

test('[SY4] who has left is not answered any further', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const mallory = new RoomPeer(room, 1);
  await mallory.hello();
  mallory.push(mallory.draft());
  await mallory.acknowledged(1);
  const waiting: (() => void)[] = [];
  world.later = (run) => waiting.push(run);
  const entries = Array.from(
    { length: 8_192 },
    (_, i): Entry => ({
      kind: 'want',
      slot: slotOf(i),
    }),
  );
  mallory.say({ kind: 'diff', salt: new Uint8Array(8), root: EMPTY_ROOT, entries });
  await new Promise((resolve) => setTimeout(resolve));
  mallory.link.closed();
  let turns = 0;
  for (; waiting.length > 0; turns++) {
    waiting.shift()?.();
    await new Promise((resolve) => setTimeout(resolve));
  }
  expect(turns).toBeLessThan(4);
});
