import { describe, expect, test } from 'vitest';
import { contextOf, makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { type Delta, FLAG } from '../delta.js';
import { defaultLimits } from '../limits.js';
import { MemoryTables } from '../store/memory-store.js';
import { acceptAndLog, sweepLog } from './log.js';
import { NO_QUOTA, type Quota, readUsage, siftByQuota } from './quota.js';

const a = replicaOf(0);
const draft = (seq: number, more: object = {}): Delta =>
  makeDelta({ replica: a, seq, hlc: seq, prev: seq - 1, name: record(`key ${seq % 3}`), ...more });

function push(tables: MemoryTables, deltas: readonly Delta[]) {
  tables.transact((tx) => acceptAndLog(tx, room, deltas, { nowMs: 0, from: 'author', retain: () => true }));
}

const usage = (tables: MemoryTables) => tables.transact(readUsage).result;
const sift = (tables: MemoryTables, deltas: readonly Delta[], quota: Partial<Quota>) =>
  tables.transact((tx) => siftByQuota(tx, room, deltas, { ...NO_QUOTA, ...quota })).result;
const bytesOf = (deltas: readonly Delta[]): number => deltas.reduce((sum, { bytes }) => sum + bytes.length, 0);

describe('quota', () => {
  test('[SY27] a room weighs what stands and what is kept of what does not, until that is cleaned away', () => {
    const tables = new MemoryTables();
    const first = [draft(1), draft(2)];
    push(tables, first);
    expect(usage(tables)).toEqual({ bytes: bytesOf(first), deltas: 2 });
    const over = draft(4, { context: contextOf([[a, 1]]) });
    push(tables, [over]);
    expect(usage(tables)).toEqual({ bytes: bytesOf([...first, over]), deltas: 2 });
    tables.transact((tx) => sweepLog(tx, 3 as Delta['hlc'], 100));
    expect(usage(tables)).toEqual({ bytes: bytesOf([draft(2), over]), deltas: 2 });
    tables.transact((tx) => sweepLog(tx, 3 as Delta['hlc'], 100));
    expect(usage(tables).bytes).toBe(bytesOf([draft(2), over]));
  });

  test('[SY27] of a push what fits is taken, in order, and the rest is told why', () => {
    const tables = new MemoryTables();
    push(tables, [draft(1), draft(2)]);
    const coming = [draft(3), draft(4), draft(5)];
    expect(sift(tables, coming, { deltasMax: 5 })).toEqual([]);
    const full = { what: 'deltas', used: 4, max: 4 };
    expect(sift(tables, coming, { deltasMax: 4 })).toEqual([undefined, undefined, full]);
    const bytesMax = bytesOf([draft(1), draft(2), draft(3)]);
    const over = { what: 'bytes', used: bytesMax, max: bytesMax };
    expect(sift(tables, coming, { bytesMax })).toEqual([undefined, over, over]);
    expect(sift(tables, coming, { bytesMax: bytesMax + 1 })[1]).toEqual({ ...over, max: bytesMax + 1 });
    expect(sift(tables, coming, {})).toEqual([]);
  });

  test('[SY8, SY27] what was taken before takes up no room', () => {
    const tables = new MemoryTables();
    const [first, second] = [draft(1), draft(4, { prev: 0, seq: 2, context: contextOf([[a, 1]]) })];
    push(tables, [first, second]);
    expect(sift(tables, [first, second, draft(5, { seq: 3 })], { deltasMax: 1 })).toMatchObject([
      undefined,
      undefined,
      { what: 'deltas' },
    ]);
  });

  test('[SY8, SY27] another delta under a number that was used takes up room as any does', () => {
    const tables = new MemoryTables();
    const [first, second] = [draft(1), draft(4, { prev: 0, seq: 2, context: contextOf([[a, 1]]) })];
    push(tables, [first, second]);
    const others = [draft(7, { seq: 1 }), draft(8, { seq: 2 })];
    expect(sift(tables, others, { deltasMax: 1 })).toMatchObject([{ what: 'deltas' }, { what: 'deltas' }]);
  });

  test('[SY27] a full room takes what lets it shrink, and not without end', () => {
    const tables = new MemoryTables();
    const tombstone = (seq: number) =>
      draft(seq, { flags: FLAG.tombstone, context: contextOf([[a, seq - 3]]), text: '' });
    const many = Array.from({ length: 1_030 }, (_, i) => draft(i + 1));
    push(tables, many.slice(0, 3));
    expect(sift(tables, [tombstone(4), draft(5)], { bytesMax: 1, deltasMax: 1 })).toMatchObject([
      undefined,
      { what: 'bytes' },
    ]);
    push(tables, many);
    expect(sift(tables, [tombstone(1_031)], { deltasMax: 6 })).toMatchObject([{ what: 'deltas', used: 1_030, max: 6 }]);
    expect(sift(tables, [tombstone(1_031)], { deltasMax: 7 })).toEqual([undefined]);
    expect(defaultLimits.bodyBytesMax).toBeGreaterThan(bytesOf(many));
  });
});
