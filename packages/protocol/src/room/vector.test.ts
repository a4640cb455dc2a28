import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, makeDelta, record, replicaOf, room, sha256 } from '../../../../test/interop/fixture.js';
import { concatBytes, hexToBytes, u64ToBytes } from '../bytes.js';
import type { Delta } from '../delta.js';
import type { ReplicaId } from '../ids.js';
import { EMPTY_ROOT } from '../merkle/node.js';
import { buildTrie } from '../merkle/trie.js';
import { MemoryTables } from '../store/memory-store.js';
import { acceptDeltas } from './accept.js';
import { adoptVector, headsRootOf, readSeqs, readVectorRows } from './vector.js';

const [a, b] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const additive = (replica: ReplicaId, seq: number): Delta =>
  makeDelta({ replica, seq, hlc: seq, prev: seq - 1, name: record(`key ${seq % 3}`) });

function accept(tables: MemoryTables, deltas: readonly Delta[]): ReadonlyMap<ReplicaId, number> {
  tables.transact((tx) => acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain: () => false }));
  return tables.transact(readVectorRows).result;
}

describe('vector', () => {
  test('[SY3][DL6] an entry is the highest contiguous seq, over gaps that close in any order', () => {
    const orders = fc.shuffledSubarray(
      Array.from({ length: 12 }, (_, i) => i + 1),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(
        orders,
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 12, maxLength: 12 }),
        (order, sizes) => {
          const tables = new MemoryTables();
          const held = new Set<number>();
          for (let at = 0, i = 0; at < order.length; at += sizes[i++] as number) {
            const batch = order.slice(at, at + (sizes[i] as number));
            for (const seq of batch) held.add(seq);
            const vector = accept(
              tables,
              batch.map((seq) => additive(a, seq)),
            );
            let expected = 0;
            while (held.has(expected + 1)) expected++;
            expect(vector).toEqual(expected === 0 ? new Map() : new Map([[a, expected]]));
          }
        },
      ),
    );
  });

  test('[SY3] a run longer than a page is followed to its end', () => {
    const tables = new MemoryTables();
    accept(
      tables,
      Array.from({ length: 700 }, (_, i) => additive(a, i + 2)),
    );
    expect(accept(tables, [additive(a, 1)])).toEqual(new Map([[a, 701]]));
  });

  test('[SY3] what is superseded on arrival counts as covered, in turns with what is held', () => {
    const over = makeDelta({ replica: b, seq: 1, hlc: 9, name: record('covered'), context: contextOf([[a, 8]]) });
    const covered = (seq: number): Delta => makeDelta({ replica: a, seq, hlc: seq, name: record('covered') });
    const tables = new MemoryTables();
    accept(tables, [over, additive(a, 2), additive(a, 4)]);
    expect(accept(tables, [covered(3), covered(1), covered(5)]).get(a)).toBe(5);
  });

  test('[SY3] replicas do not run into each other', () => {
    const [low, high] = [a, b].sort() as [ReplicaId, ReplicaId];
    const tables = new MemoryTables();
    expect(accept(tables, [additive(high, 1), additive(low, 2)])).toEqual(new Map([[high, 1]]));
    expect(accept(tables, [additive(low, 1)])).toEqual(
      new Map([
        [low, 2],
        [high, 1],
      ]),
    );
  });

  test('[SY3] adopting raises entries, never lowers them, and goes on over what is held', () => {
    const tables = new MemoryTables();
    accept(tables, [additive(a, 5), additive(a, 6), additive(b, 1)]);
    tables.transact((tx) =>
      adoptVector(
        tx,
        new Map([
          [a, 4],
          [b, 0],
        ]),
      ),
    );
    const expected = new Map([
      [a, 6],
      [b, 1],
    ]);
    expect(tables.transact(readVectorRows).result).toEqual(expected);
    expect(tables.transact((tx) => readSeqs(tx, [a, replicaOf(9)])).result).toEqual(new Map([[a, 6]]));
  });

  test('[MK5] the heads root is the trie over replica and seq', () => {
    expect(headsRootOf(sha256, new Map())).toEqual(EMPTY_ROOT);
    const entries = [
      [a, 7],
      [b, 300],
    ] as const;
    const keys = entries.map(([replica, seq]) => concatBytes(hexToBytes(replica), u64ToBytes(seq)));
    const sorted = a < b ? keys : keys.reverse();
    expect(headsRootOf(sha256, new Map(entries))).toEqual(buildTrie(sha256, sorted).root);
    expect(headsRootOf(sha256, new Map([...entries].reverse()))).toEqual(headsRootOf(sha256, new Map(entries)));
    expect(headsRootOf(sha256, new Map([[a, 8]]))).not.toEqual(headsRootOf(sha256, new Map([[a, 7]])));
  });
});
