import { isMangroveError, NOTHING_FOUND, type RoomRef, type Table } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { type ClientWorld, roomRef, setWorld } from '../../../../test/support/client-world.js';
import { ContradictingStore, type Contradiction } from '../../../../test/support/contradicting-store.js';
import type { Room } from '../room.js';
import { failureOf } from '../stores/places.js';
import { afterPass, leftFor, Taken } from './mender.js';

let world: ClientWorld;
// Passes soon after one another, as what does not stay is noticed by the third.
setWorld((fresh) => (world = fresh), { scrubPassMs: 10_000 });

const EVERYTHING = { from: new Uint8Array() };
const COUNT = 40;
const key = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);

describe('[AE8] what a database is worth', () => {
  const found = (some: Partial<typeof NOTHING_FOUND>) => ({ ...NOTHING_FOUND, ...some });

  test.each([
    [{}, false, 'rest'],
    [{ holes: 3, mended: 2 }, false, 'rest'],
    [{ holes: 3, mended: 2 }, true, 'rest'],
    [{ contradicting: 1 }, false, 'again'],
    [{ unreadable: 1 }, false, 'again'],
    [{ contradicting: 1 }, true, 'leave'],
    [{ unreadable: 1 }, true, 'leave'],
  ] as const)('a pass that found %j, the second: %s: %s', (some, isSecond, verdict) => {
    expect(afterPass(found(some), isSecond)).toBe(verdict);
  });

  test('what was taken twice may have been lost once; what is taken a third time does not stay', () => {
    const taken = new Taken();
    expect([taken.add([key(1), key(2)]), taken.add([key(2)]), taken.add([key(3), key(2)])]).toEqual([
      false,
      false,
      true,
    ]);
    expect(taken.add([key(2)]), 'counted anew').toBe(false);
  });

  test('a room that takes very much remembers the last of it', () => {
    const taken = new Taken();
    for (let round = 0; round < 3; round++) for (let n = 0; n < 5_000; n++) expect(taken.add([key(n)])).toBe(false);
  });

  test('it is left as one that is broken', () => {
    expect(failureOf(leftFor())).toBe('broken');
    expect(isMangroveError(leftFor()) && leftFor().code).toBe('STORAGE_DAMAGED');
  });
});

/** A room in sync over a database that can be spoiled. */
async function spoilable(): Promise<{ room: Room; store: ContradictingStore; isLeft: () => boolean }> {
  const profile = world.profile();
  const store = new ContradictingStore();
  const ref: RoomRef = roomRef('team');
  profile.stores.set(ref.roomId, store);
  const room = profile.tab().room();
  const list = room.collection<number>('list');
  for (let i = 0; i < COUNT; i++) await world.run(list.put(`n${i}`, i));
  await world.agree(room);
  return { room, store, isLeft: () => room.status.storage === 'lost' };
}

function spoil(store: ContradictingStore, table: Table, how: Contradiction): void {
  const rows = store.tables.table(table).rows(EVERYTHING);
  const [spoiled] = rows[rows.length >> 1] as (typeof rows)[0];
  store.tables.spoil(table, spoiled, how);
}

async function countListed(room: Room): Promise<number> {
  return (await world.run(room.collection('list').entries())).length;
}

const CASES: readonly (readonly [Contradiction, Table])[] = [
  ['unfound', 'deltas'],
  ['unlisted', 'deltas'],
  ['cut', 'deltas'],
  ['unfound', 'names'],
  ['unlisted', 'names'],
  ['cut', 'names'],
  ['unfound', 'nodes'],
  ['unfound', 'dots'],
];

describe('[AE8] a room whose database contradicts itself', () => {
  test.each(CASES)('%s in %s: it notices, heals its rows, and stays', async (how, table) => {
    const { room, store, isLeft } = await spoilable();
    spoil(store, table, how);
    await world.pass(60_000);
    await world.agree(room);
    expect(await countListed(room)).toBe(COUNT);
    expect(store.tables.spoiled).toBe(0);
    expect(isLeft()).toBe(false);
  });

  test.each(CASES.filter(([how]) => how !== 'unlisted'))(
    '%s in %s that cannot be mended: it is left, told, and nothing that was written is lost',
    async (how, table) => {
      const { room, store, isLeft } = await spoilable();
      const list = room.collection<number>('list');
      store.tables.isMendable = false;
      spoil(store, table, how);
      room.pause();
      const receipt = await world.run(list.put('unsent', -1));
      await world.until('left', isLeft);
      expect(room.status.lastError?.code).toBe('STORAGE_DAMAGED');
      room.resume();
      await world.run(receipt.reached('relay'));
      await world.agree(room);
      expect(await countListed(room)).toBe(COUNT + 1);
      const other = world.profile().tab().room();
      await world.agree(other);
      expect(await countListed(other)).toBe(COUNT + 1);
    },
  );

  test('rows that are taken and do not stay are not asked for over and over', async () => {
    const { room, store, isLeft } = await spoilable();
    store.tables.isMendable = false;
    spoil(store, 'deltas', 'lost');
    await world.until('left', isLeft);
    expect(room.status.lastError?.code).toBe('STORAGE_DAMAGED');
    await world.agree(room);
    expect(await countListed(room)).toBe(COUNT);
    const { passes } = room.metrics().repairs;
    await world.pass(600_000);
    expect(room.metrics().repairs.passes - passes).toBe(0);
  });
});
