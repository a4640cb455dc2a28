import { expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { u64ToBytes, utf8ToBytes } from '../bytes.js';
import { trieKeyOf } from '../delta.js';
import { idToBytes } from '../ids.js';
import { MemoryStore } from '../store/memory-store.js';
import { HealingStore } from '../store/healing-store.js';
import type { Table } from '../store/table.js';
import { acceptAndLog } from './log.js';
import { readPutAside } from './aside.js';
import { appendToJournal, readJournal, readKeyState } from './journal.js';
import { nameKey } from './name-key.js';
import { type META, readNumber, REPLICA } from './meta.js';
import { outboxEntryToBytes } from './outbox-entry.js';

const WRITE = { mode: 'write' } as const;
const NOW_MS = 1_000;
const own = replicaOf(0);
const first = makeDelta({ replica: own, seq: 1, hlc: 2_000, name: record('a') });
const second = makeDelta({ replica: own, seq: 2, hlc: 3_000, name: record('b') });

/** Two own deltas, the second of which no relay has, and a row in the journal. */
async function open() {
  const store = new MemoryStore();
  const options = { nowMs: NOW_MS, from: 'others', retain: () => false } as const;
  await store.transact((tx) => acceptAndLog(tx, room, [first, second], options), WRITE);
  await store.transact(function* (tx) {
    tx.put('meta', REPLICA, idToBytes(own));
    tx.put('outbox', u64ToBytes(2), outboxEntryToBytes({ writes: 1, oldestAtMs: NOW_MS }, second));
    for (const [name, value] of [
      ['seq', 2],
      ['clock', 3_000],
      ['epoch', 7],
      ['row', 41],
    ] as const)
      tx.put('meta', utf8ToBytes(name), u64ToBytes(value));
    yield* appendToJournal(
      tx,
      room,
      [{ name: record('c'), flags: 0, nonces: [], payload: utf8ToBytes('what only I have') }],
      NOW_MS,
    );
  }, WRITE);
  const spoil = (table: Table, key: Uint8Array, change: (row: Uint8Array) => Uint8Array) => {
    const rows = store.tables.table(table);
    rows.put(key, change(rows.get(key) as Uint8Array));
  };
  const cut = (row: Uint8Array) => row.slice(0, 3);
  const healing = new HealingStore(store, room);
  const read = <Result>(plan: Parameters<typeof healing.transact<Result>>[0]) =>
    healing.transact(plan, { mode: 'read' });
  return { store, spoil, cut, read };
}

const flip = (row: Uint8Array): Uint8Array => row.map((byte, i) => (i === row.length - 6 ? byte ^ 1 : byte));

test.each<[keyof typeof META, number]>([
  ['seq', 2],
  ['row', 42],
  ['clock', 1_024_000],
])('[AE2] %s, where it cannot be read, is not begun below what other rows name', async (name, expected) => {
  const { spoil, cut, read } = await open();
  spoil('meta', utf8ToBytes(name), cut);
  expect(await read((tx) => readNumber(tx, name))).toBe(expected);
});

test('[AE2, JS3] an epoch that cannot be read goes on above all that were counted', async () => {
  const { spoil, cut, read } = await open();
  spoil('meta', utf8ToBytes('epoch'), cut);
  spoil('meta', utf8ToBytes('clock'), cut);
  expect(await read((tx) => readNumber(tx, 'epoch'))).toBeGreaterThan(7);
});

test('[AE2] a row of the journal with one flipped bit is put aside, and holds up nothing', async () => {
  const { store, spoil, read } = await open();
  const [[key]] = store.tables.table('journal').rows({ from: new Uint8Array() }) as [[Uint8Array, Uint8Array]];
  spoil('journal', key, flip);
  expect(await read(readJournal)).toEqual([]);
  expect(await read(readPutAside)).toEqual([[key, expect.any(Uint8Array)]]);
});

test('[AE1, AE2] a delta with a flipped bit is not read; an own one that no relay has is put aside too', async () => {
  const { spoil, read } = await open();
  for (const delta of [first, second])
    spoil('deltas', trieKeyOf(delta), (row) => row.map((byte, i) => (i === row.length - 66 ? byte ^ 1 : byte)));
  expect((await read((tx) => readKeyState(tx, room, second.keyId))).deltas).toEqual([]);
  expect((await read((tx) => readKeyState(tx, room, first.keyId))).deltas).toEqual([]);
  expect((await read(readPutAside)).map(([key]) => key)).toEqual([trieKeyOf(second)]);
});

test('[AE2] a name that leads elsewhere is told its key again', async () => {
  const { store, spoil, read } = await open();
  const key = nameKey(record('c'));
  spoil('names', key, (row) => row.map((byte) => byte ^ 1));
  spoil('meta', utf8ToBytes('seq'), (row) => row.slice(1));
  await read((tx) => readNumber(tx, 'seq'));
  expect(store.tables.table('names').get(key)).toEqual(idToBytes((await read(readJournal))[0]?.keyId as never));
});
