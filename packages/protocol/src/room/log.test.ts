import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, makeDelta, record, replicaOf, room, sha256 } from '../../../../test/interop/fixture.js';
import { bytesToHex, bytesToU64, concatBytes, hexToBytes } from '../bytes.js';
import type { Delta } from '../delta.js';
import type { Hlc } from '../hlc.js';
import type { ReplicaId } from '../ids.js';
import { EMPTY_ROOT } from '../merkle/node.js';
import { readRoot } from '../merkle/trie.js';
import { MemoryTables } from '../store/memory-store.js';
import { isStub, toEntry } from '../stub.js';
import { acceptAndLog, isCursorValid, readAhead, readLogPage, readPosition, ROLL_BYTES, sweepLog } from './log.js';
import { readVectorRows } from './vector.js';

const [a, b] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const additive = (replica: ReplicaId, seq: number, bytes = 10): Delta =>
  makeDelta({ replica, seq, hlc: seq, prev: seq - 1, name: record(`key ${seq % 5}`), text: 'x'.repeat(bytes) });

function push(tables: MemoryTables, deltas: readonly Delta[], from: 'author' | 'others' = 'author') {
  return tables.transact((tx) => acceptAndLog(tx, room, deltas, { nowMs: 0, from, retain: () => true })).result;
}

function readAll(tables: MemoryTables, after: number) {
  const deltas: Uint8Array[] = [];
  let met: readonly ReplicaId[] = [];
  let at = after;
  for (let pages = 1; ; pages++) {
    const page = tables.transact((tx) => readLogPage(tx, room, at, met)).result;
    deltas.push(...page.deltas);
    if (page.caughtUp !== undefined) return { ...page, deltas, pages };
    expect(page.end.offset).toBeGreaterThan(at);
    expect(page.vector.size).toBe(0);
    at = page.end.offset;
    met = page.met;
  }
}

describe('log', () => {
  test('[SY2] an empty log stands at nothing', () => {
    const tables = new MemoryTables();
    const nothing = { offset: 0, roll: new Uint8Array(ROLL_BYTES), root: EMPTY_ROOT };
    expect(tables.transact(readPosition).result).toEqual(nothing);
    expect(readAll(tables, 0)).toMatchObject({ pages: 1, deltas: [], caughtUp: nothing });
  });

  test('[SY2] what is new is numbered, and each roll is a hash over the one before and the id', () => {
    const tables = new MemoryTables();
    const deltas = [additive(a, 1), additive(a, 2), additive(b, 1)];
    const first = push(tables, deltas.slice(0, 2));
    const second = push(tables, deltas.slice(2));
    let roll = new Uint8Array(ROLL_BYTES);
    for (const { id } of deltas) roll = sha256(concatBytes(roll, hexToBytes(id))).slice(0, ROLL_BYTES);
    const { root } = tables.transact(readRoot).result;
    expect(second.position).toEqual({ offset: 3, roll, root });
    expect(tables.transact(readPosition).result).toEqual(second.position);
    expect([first.position.offset, first.fresh.length]).toEqual([2, 2]);
  });

  test('[SY8] a replayed, a refused and a doubled delta get no number', () => {
    const tables = new MemoryTables();
    push(tables, [additive(a, 1)]);
    const before = tables.dump();
    const reused = makeDelta({ replica: a, seq: 1, hlc: 9, text: 'other' });
    const { position, fresh, outcomes } = push(tables, [additive(a, 1), reused]);
    expect([position.offset, fresh, outcomes]).toEqual([1, [], ['known', 'reused']]);
    expect(tables.dump()).toEqual(before);
    expect(push(tables, [additive(a, 2), additive(a, 2)]).position.offset).toBe(2);
  });

  test('[SY2] forks and what is superseded on arrival are numbered too: others may lack them', () => {
    const tables = new MemoryTables();
    const over = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const under = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const fork = makeDelta({ replica: b, seq: 1, hlc: 8, name: record('z') });
    const { outcomes, position, fresh } = push(tables, [over, under, fork], 'others');
    expect([outcomes, position.offset, fresh.length]).toEqual([['added', 'superseded', 'forked'], 3, 3]);
  });

  test('[SY2] pages hand out everything that stands, once and in order, whatever their sizes', () => {
    const sizes = fc.array(fc.constantFrom(10, 1_000, 60_000, 140_000), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, fc.nat(8), (bytes, after) => {
        const tables = new MemoryTables();
        const deltas = bytes.map((size, i) => additive(a, i + 1, size));
        for (const delta of deltas) push(tables, [delta]);
        const from = Math.min(after, deltas.length);
        const { deltas: read, caughtUp, vector, end } = readAll(tables, from);
        expect(read.map(bytesToHex)).toEqual(
          deltas.slice(from).map((delta) => bytesToHex(toEntry(room.hash, room.roomId, delta.bytes))),
        );
        const weight = deltas.slice(from).reduce((sum, delta) => sum + delta.bytes.length, 0);
        const ahead = tables.transact((tx) => readAhead(tx, from)).result;
        expect(ahead).toEqual({ deltas: deltas.length - from, bytes: weight });
        expect(caughtUp).toEqual(tables.transact(readPosition).result);
        expect(end.offset).toBe(deltas.length);
        expect(vector).toEqual(from === deltas.length ? new Map() : new Map([[a, deltas.length]]));
      }),
      { numRuns: 60 },
    );
  });

  test('[SY2, SY18] a page has at most 256 rows and about 128 KiB, reads at most 8 MiB for it, and always one delta', () => {
    const tables = new MemoryTables();
    push(
      tables,
      Array.from({ length: 600 }, (_, i) => additive(a, i + 1)),
    );
    expect(readAll(tables, 0).pages).toBe(3);
    const large = new MemoryTables();
    for (let seq = 1; seq <= 5; seq++) push(large, [additive(a, seq, 3_000_000)]);
    const { pages, deltas } = readAll(large, 0);
    expect([pages, deltas.length]).toEqual([3, 5]);
    expect(deltas.every(isStub)).toBe(true);
    const medium = new MemoryTables();
    push(medium, [additive(a, 1, 60_000), additive(a, 2, 60_000), additive(a, 3, 60_000)]);
    expect(readAll(medium, 0)).toMatchObject({ pages: 2 });
  });

  test('[SY2] superseded entries are passed over, and their replicas are in the vector at the end', () => {
    const tables = new MemoryTables();
    push(tables, [makeDelta({ replica: a, seq: 1, hlc: 5 })]);
    push(tables, [makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) })]);
    const { deltas, vector, caughtUp } = readAll(tables, 0);
    expect(deltas).toHaveLength(1);
    expect(vector).toEqual(tables.transact(readVectorRows).result);
    expect(vector.get(a)).toBe(1);
    expect(caughtUp?.offset).toBe(2);
  });

  test('[SY2] each page says the roll at its end, so that a cursor inside a catch-up counts', () => {
    const tables = new MemoryTables();
    for (let seq = 1; seq <= 3; seq++) push(tables, [additive(a, seq, 60_000)]);
    let at = 0;
    for (;;) {
      const { end, caughtUp } = tables.transact((tx) => readLogPage(tx, room, at, [])).result;
      expect(tables.transact((tx) => isCursorValid(tx, end)).result).toBe(true);
      at = end.offset;
      if (caughtUp !== undefined) break;
    }
    expect(at).toBe(3);
  });

  test('[SY2] scenario 24: a cursor of another history does not count, nor one past the end', () => {
    const tables = new MemoryTables();
    const restored = new MemoryTables();
    push(tables, [additive(a, 1)]);
    push(restored, [additive(a, 1)]);
    const { position: shared } = push(tables, []);
    const { position } = push(tables, [additive(a, 2)]);
    const isValid = (cursor: { offset: number; roll: Uint8Array }): boolean =>
      restored.transact((tx) => isCursorValid(tx, cursor)).result;
    expect([isValid(shared), isValid(position)]).toEqual([true, false]);
    push(restored, [additive(b, 1)]);
    expect(isValid(position)).toBe(false);
    expect(isValid({ offset: 0, roll: new Uint8Array(ROLL_BYTES) })).toBe(true);
    expect(isValid({ offset: 10 ** 9, roll: position.roll })).toBe(false);
  });

  test('[SY2] old entries of what stands no more are dropped, and who reads on gets the same', () => {
    const tables = new MemoryTables();
    const deltas = Array.from({ length: 60 }, (_, i) => additive(a, i + 1));
    push(tables, deltas);
    const cover = (hlc: number, from: number, to: number): Delta =>
      makeDelta({
        replica: b,
        seq: hlc,
        hlc: 100 + hlc,
        name: record(`key ${from % 5}`),
        context: contextOf(
          [],
          [
            [a, from],
            [a, to],
          ],
        ),
      });
    push(tables, [cover(1, 1, 6), cover(2, 2, 57)], 'others');
    const before = readAll(tables, 0);
    const offsets = () =>
      tables
        .table('log')
        .rows({ from: new Uint8Array() })
        .map(([key]) => bytesToU64(key));
    const rolls = tables
      .table('log')
      .rows({ from: new Uint8Array() })
      .map(([, value]) => value.slice(0, ROLL_BYTES));
    let visits = 0;
    while (!tables.transact((tx) => sweepLog(tx, 50 as Hlc, 7)).result) visits++;
    expect(visits).toBe(8);
    // The entry of the delta with stamp 57 is of yesterday, as it were.
    expect(offsets()).toEqual(Array.from({ length: 62 }, (_, i) => i + 1).filter((n) => ![1, 2, 6].includes(n)));
    expect(readAll(tables, 0)).toMatchObject({ deltas: before.deltas, caughtUp: before.caughtUp });
    const cursor = (offset: number) => ({ offset, roll: rolls[offset - 1] as Uint8Array });
    const isValid = (offset: number) => tables.transact((tx) => isCursorValid(tx, cursor(offset))).result;
    expect([5, 6, 57, 62].map(isValid)).toEqual([true, false, true, true]);
    while (!tables.transact((tx) => sweepLog(tx, 1_000 as Hlc, 1_000)).result);
    expect(offsets()).not.toContain(57);
    const last = push(tables, [additive(a, 61)]).position;
    expect(last.offset).toBe(63);
    expect(readAll(tables, 62).caughtUp?.offset).toBe(63);
  });
});
