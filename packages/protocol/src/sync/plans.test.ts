import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { historySteps, makeHistory } from '../../../../test/interop/history.js';
import { bytesToHex, concatBytes } from '../bytes.js';
import { bytesToDelta, type Delta, trieKeyOf } from '../delta.js';
import type { ReplicaId } from '../ids.js';
import { PART_BYTES } from '../parts.js';
import { acceptDeltas, removeDelta } from '../room/accept.js';
import { readReach } from '../room/vector.js';
import { MemoryTables } from '../store/memory-store.js';
import type { VersionVector } from '../version-vector.js';
import { type LastRead, planFor, planOpenDiff, readParts } from './plans.js';

const [a, b] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const EVERYTHING = { from: new Uint8Array() };

function tablesOf(deltas: readonly Delta[]): MemoryTables {
  const tables = new MemoryTables();
  accept(tables, deltas);
  return tables;
}

function accept(tables: MemoryTables, deltas: readonly Delta[]): void {
  tables.transact((tx) => acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain: () => false }));
}

const reachOf = (tables: MemoryTables): VersionVector => tables.transact(readReach).result;
const heldIn = (tables: MemoryTables): string[] =>
  tables
    .table('deltas')
    .rows(EVERYTHING)
    .map(([, bytes]) => bytesToHex(bytes));

/** All pages of what a vector does not reach. */
function readBeyond(tables: MemoryTables, vector: VersionVector, of: 'named' | 'all' = 'all') {
  const pages: (readonly Uint8Array[])[] = [];
  let after = new Uint8Array();
  for (;;) {
    const { result } = tables.transact(planFor(room, { kind: 'read-beyond', cursor: { vector, of, after } }));
    if (result.kind !== 'beyond-read') throw new Error('another answer');
    pages.push(result.deltas);
    if (result.next === undefined) return { pages, deltas: pages.flat(), short: result.vector };
    expect(result.next.after).not.toEqual(after);
    after = result.next.after as typeof after;
  }
}

describe('read-beyond', () => {
  test('[SY3] one pull, and its answers, make two stores without gaps one', () => {
    const cuts = fc.array(fc.nat(8), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(historySteps, cuts, cuts, (steps, leftCuts, rightCuts) => {
        const deltas = makeHistory(steps).map(({ delta }) => delta);
        const upTo = (seqs: readonly number[]): MemoryTables =>
          tablesOf(deltas.filter(({ replica, seq }) => seqs.some((cut, i) => replica === replicaOf(i) && seq <= cut)));
        const [left, right] = [upTo(leftCuts), upTo(rightCuts)];
        const decode = (bytes: Uint8Array): Delta => bytesToDelta(room.hash, room.roomId, bytes);
        const answer = readBeyond(right, reachOf(left));
        const toRight = readBeyond(left, answer.short, 'named').deltas.map(decode);
        accept(right, toRight);
        accept(left, answer.deltas.map(decode));
        expect(heldIn(left)).toEqual(heldIn(right));
      }),
      { numRuns: 100 },
    );
  });

  test('[SY3, CX7] of a dot that was used a hundred times a few deltas come at once, and the others by the Merkle diff', () => {
    const forks = Array.from({ length: 100 }, (_, i) => makeDelta({ replica: a, seq: 1, hlc: 1, text: `fork ${i}` }));
    const next = makeDelta({ replica: a, seq: 2, hlc: 2 });
    const { deltas } = readBeyond(tablesOf([...forks, next]), new Map());
    expect(deltas).toHaveLength(17);
    expect(deltas.at(-1)).toEqual(next.bytes);
  });

  test('[SY3] what lies in a gap is not asked for by vector, nor is everything above the gap', () => {
    const deltas = [1, 2, 3, 4].map((seq) => makeDelta({ replica: a, seq, hlc: seq, prev: seq - 1 }));
    const [withGap, whole] = [tablesOf(deltas.filter(({ seq }) => seq === 1 || seq === 3)), tablesOf(deltas)];
    expect(reachOf(withGap)).toEqual(new Map([[a, 3]]));
    expect(readBeyond(whole, reachOf(withGap))).toMatchObject({ deltas: [deltas[3]?.bytes], short: new Map() });
    expect(readBeyond(withGap, reachOf(whole))).toMatchObject({ deltas: [], short: new Map([[a, 3]]) });
  });

  test('[SY3] only the replicas that are named are read where that is asked', () => {
    const tables = tablesOf([a, b].map((replica) => makeDelta({ replica, seq: 1, hlc: 1 })));
    expect(readBeyond(tables, new Map([[b, 0]]), 'named').deltas).toHaveLength(1);
    expect(readBeyond(tables, new Map(), 'named').deltas).toEqual([]);
    expect(readBeyond(tables, new Map(), 'all').deltas).toHaveLength(2);
  });

  test('[SY3] what the vector reaches is not sent, forks above it are sent whole', () => {
    const additive = (replica: ReplicaId, seq: number, text = ''): Delta =>
      makeDelta({ replica, seq, hlc: seq, prev: seq - 1, text });
    const tables = tablesOf([additive(a, 1), additive(a, 2), additive(a, 2, 'fork'), additive(b, 1)]);
    const { deltas } = readBeyond(
      tables,
      new Map([
        [a, 1],
        [b, 1],
      ]),
    );
    expect(deltas.map(bytesToHex).sort()).toEqual(
      [additive(a, 2), additive(a, 2, 'fork')].map((delta) => bytesToHex(delta.bytes)).sort(),
    );
  });

  test('[SY3] many and large deltas come in pages, each once', () => {
    const deltas = Array.from({ length: 1_200 }, (_, i) =>
      makeDelta({
        replica: i % 2 ? a : b,
        seq: (i >> 1) + 1,
        hlc: i + 1,
        name: record(`key ${i}`),
        text: 'x'.repeat(i % 100 === 0 ? 300_000 : 5),
      }),
    );
    const tables = tablesOf(deltas);
    const { pages, deltas: read } = readBeyond(tables, new Map());
    expect(pages.length).toBeGreaterThan(2);
    expect(new Set(read.map((bytes) => bytesToHex(bytes.subarray(0, 30)))).size).toBe(1_200);
    expect(read).toHaveLength(1_200);
  });

  test('[SY3] an empty store has nothing beyond anything', () => {
    expect(readBeyond(new MemoryTables(), new Map([[a, 9]]))).toEqual({
      pages: [[]],
      deltas: [],
      short: new Map([[a, 0]]),
    });
  });
});

describe('diff', () => {
  test('[SY4] a pass over two stores makes them equal, with nothing but messages between them', () => {
    const split = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 24, maxLength: 24 });
    fc.assert(
      fc.property(historySteps, split, (steps, sides) => {
        const deltas = makeHistory(steps).map(({ delta }) => delta);
        const stores = [
          tablesOf(deltas.filter((_, i) => sides[i] !== 0)),
          tablesOf(deltas.filter((_, i) => sides[i] !== 1)),
        ];
        const salt = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
        let message: { salt: Uint8Array; root: Uint8Array; entries: readonly never[] } = (
          stores[0] as MemoryTables
        ).transact(planOpenDiff(room, salt)).result as never;
        for (let round = 1; round < 20; round++) {
          const store = stores[round % 2] as MemoryTables;
          const { result } = store.transact(planFor(room, { kind: 'answer-diff', bytesMax: 10_000_000, message }));
          if (result.kind !== 'diff-answered') throw new Error('another answer');
          accept(
            stores[(round + 1) % 2] as MemoryTables,
            result.deltas.map((bytes) => bytesToDelta(room.hash, room.roomId, bytes)),
          );
          if (result.entries.length === 0) break;
          message = { salt, root: result.root, entries: result.entries as never };
        }
        expect(heldIn(stores[0] as MemoryTables)).toEqual(heldIn(stores[1] as MemoryTables));
      }),
      { numRuns: 100 },
    );
  });
});

describe('read-parts', () => {
  const large = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'x'.repeat(5 * PART_BYTES - 200) });
  const trieKey = trieKeyOf(large);

  function reader(tables: MemoryTables) {
    const last: LastRead = {};
    let bodies = 0;
    const read = (from: number, count: number) =>
      tables.transact(function* (tx) {
        const steps = readParts(tx, room, [{ trieKey, from, count }], last);
        for (let step = steps.next(); ; ) {
          if (step.done) return step.value.parts.map(({ bytes }) => bytes);
          bodies += step.value.filter(({ kind }) => kind === 'get').length;
          step = steps.next(yield step.value);
        }
      }).result;
    return { read, last, bodies: () => bodies };
  }

  test('[SY18] a body whose parts are asked for run by run is read once, and kept no longer than that', () => {
    const { read, last, bodies } = reader(tablesOf([large]));
    const parts = [...read(0, 2), ...read(2, 2), ...read(4, 1)];
    expect(concatBytes(...parts)).toEqual(large.body);
    expect(bodies()).toBe(1);
    expect(last.row).toBeUndefined();
  });

  test('[SY18] of a delta that left the set in between no part is sent', () => {
    const tables = tablesOf([large]);
    const { read } = reader(tables);
    read(0, 2);
    tables.transact((tx) => removeDelta(tx, room, large));
    expect(read(2, 2)).toEqual([new Uint8Array()]);
  });
});
