import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, dumpOf, makeDelta, record, replicaOf, room, sha256 } from '../../../../test/interop/fixture.js';
import { historySteps, makeHistory, siblingsOf } from '../../../../test/interop/history.js';
import { bytesToHex, compareBytes } from '../bytes.js';
import { type Context, covers } from '../context.js';
import { bytesToDelta, type Delta, trieKeyOf } from '../delta.js';
import type { ReplicaId } from '../ids.js';
import { buildTrie, readRoot } from '../merkle/trie.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Table } from '../store/table.js';
import { type AcceptOptions, acceptDeltas, removeDelta } from './accept.js';
import type { Outcome } from './outcome.js';
import { dotKey, splitTrieKeys } from './set-rows.js';
import { adoptVector, readVectorRows } from './vector.js';

const [a, b, c] = [0, 1, 2].map(replicaOf) as [ReplicaId, ReplicaId, ReplicaId];
const OPTIONS: AcceptOptions = { nowMs: 0, from: 'others', retain: () => false };
const SET: readonly Table[] = ['deltas', 'contexts', 'nodes', 'dots'];
const EVERYTHING = { from: new Uint8Array() };

function accept(tables: MemoryTables, deltas: readonly Delta[], options: Partial<AcceptOptions> = {}) {
  return tables.transact((tx) => acceptDeltas(tx, room, deltas, { ...OPTIONS, ...options })).result;
}

/** Two stores show each other what they hold, until they hold the same or have done so too often. */
function exchange(left: MemoryTables, right: MemoryTables, deltas: number): void {
  for (let round = 0; round < 2 * deltas && String(idsIn(left)) !== String(idsIn(right)); round++) {
    accept(right, heldIn(left));
    accept(left, heldIn(right));
  }
}

function tablesOf(batches: readonly (readonly Delta[])[], options: Partial<AcceptOptions> = {}): MemoryTables {
  const tables = new MemoryTables();
  for (const batch of batches) accept(tables, batch, options);
  return tables;
}

const heldIn = (tables: MemoryTables): Delta[] =>
  tables
    .table('deltas')
    .rows(EVERYTHING)
    .map(([, bytes]) => bytesToDelta(sha256, room.roomId, bytes));
const idsIn = (tables: MemoryTables): string[] =>
  heldIn(tables)
    .map(({ id }) => id)
    .sort();
const vectorOf = (tables: MemoryTables) => tables.transact(readVectorRows).result;
const retainedIn = (tables: MemoryTables): string[] =>
  tables
    .table('retained')
    .rows(EVERYTHING)
    .map(([key]) => bytesToHex(key.subarray(8 + 32)));

/** One way to deliver: an order, with some of it twice, cut into batches. */
interface Delivery {
  readonly order: readonly number[];
  readonly repeats: readonly number[];
  readonly sizes: readonly number[];
}

const deliveries: fc.Arbitrary<Delivery> = fc.record({
  order: fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
  repeats: fc.array(fc.nat(), { maxLength: 6 }),
  sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 30, maxLength: 30 }),
});

function deliver(deltas: readonly Delta[], { order, repeats, sizes }: Delivery): readonly (readonly Delta[])[] {
  const ranked = deltas.map((delta, i) => ({ delta, rank: order[i % order.length] as number }));
  const queue = ranked.sort((x, y) => x.rank - y.rank).map(({ delta }) => delta);
  for (const [i, repeat] of repeats.entries())
    queue.splice((repeat * (i + 7)) % (queue.length + 1), 0, queue[repeat % queue.length] as Delta);
  const batches: Delta[][] = [];
  for (let at = 0, i = 0; at < queue.length; i++) {
    const size = sizes[i % sizes.length] as number;
    batches.push(queue.slice(at, at + size));
    at += size;
  }
  return batches;
}

describe('acceptDeltas', () => {
  test('[CX2][CX6] any order, any batches, any number of times: one set, and it is what nobody superseded', () => {
    fc.assert(
      fc.property(historySteps, deliveries, deliveries, (steps, one, other) => {
        const all = makeHistory(steps);
        fc.pre(all.length > 0);
        const deltas = all.map(({ delta }) => delta);
        const tables = tablesOf(deliver(deltas, one));
        expect(idsIn(tables)).toEqual(
          siblingsOf(all)
            .map(({ delta }) => delta.id)
            .sort(),
        );
        expect(dumpOf(tablesOf(deliver(deltas, other)), SET)).toEqual(dumpOf(tables, SET));
      }),
      { numRuns: 120 },
    );
  });

  // Of two copies that wrote over different relays contexts are not transitive: one may cover by its stamp what it knows nothing of.
  test('[CX6][CX7] scenario 15: where a profile was copied and one dot has several ids, stores that show each other what they hold become one set', () => {
    fc.assert(
      fc.property(historySteps, deliveries, deliveries, (steps, one, other) => {
        const deltas = makeHistory(steps, (n) => replicaOf(n % 2)).map(({ delta }) => delta);
        fc.pre(deltas.length > 0);
        const [left, right] = [tablesOf(deliver(deltas, one)), tablesOf(deliver(deltas, other))];
        exchange(left, right, deltas.length);
        expect(dumpOf(left, SET)).toEqual(dumpOf(right, SET));
        const standing = deltas.filter((delta) => !deltas.some((by) => supersedes(by, delta)));
        expect(idsIn(left)).toEqual(expect.arrayContaining(standing.map(({ id }) => id)));
        for (const held of heldIn(left)) expect(heldIn(left).some((by) => supersedes(by, held))).toBe(false);
      }),
      { numRuns: 120 },
    );
  });

  test('[MK1][MK3] the root is that of the held trie keys, and dots and contexts say no more than they', () => {
    fc.assert(
      fc.property(historySteps, deliveries, (steps, delivery) => {
        const deltas = makeHistory(steps, (n) => replicaOf(n % 2)).map(({ delta }) => delta);
        fc.pre(deltas.length > 0);
        const tables = new MemoryTables();
        let last: ReturnType<typeof accept> | undefined;
        for (const batch of deliver(deltas, delivery)) last = accept(tables, batch);
        const held = heldIn(tables);
        const keys = held.map(trieKeyOf).sort(compareBytes);
        expect(last?.root).toEqual(buildTrie(sha256, keys).root);
        expect([last?.count, tables.transact(readRoot).result.count]).toEqual([held.length, held.length]);
        const dots = tables
          .table('dots')
          .rows(EVERYTHING)
          .flatMap(([dot, value]) => splitTrieKeys(value).map((key) => `${bytesToHex(dot)} ${bytesToHex(key)}`));
        expect(dots.sort()).toEqual(
          held.map((delta) => `${bytesToHex(dotKey(delta))} ${bytesToHex(trieKeyOf(delta))}`).sort(),
        );
        const withContext = held.filter(({ context }) => context.stamps.size + context.dots.length > 0);
        expect(tables.table('contexts').size).toBe(new Set(withContext.map(({ keyId }) => keyId)).size);
      }),
      { numRuns: 60 },
    );
  });

  test('[CX3] what leaves is covered by what came, and by nothing a peer says', () => {
    fc.assert(
      fc.property(historySteps, deliveries, (steps, delivery) => {
        const deltas = makeHistory(steps).map(({ delta }) => delta);
        fc.pre(deltas.length > 0);
        const tables = new MemoryTables();
        for (const batch of deliver(deltas, delivery)) {
          const { removed } = accept(tables, batch);
          for (const gone of removed) expect(heldIn(tables).some((by) => supersedes(by, gone))).toBe(true);
          const before = dumpOf(tables, SET);
          tables.transact((tx) =>
            adoptVector(
              tx,
              new Map([
                [a, 1_000],
                [b, 1_000],
              ]),
            ),
          );
          expect(dumpOf(tables, SET)).toEqual(before);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('[CX3][CX6] with forged contexts two stores that show each other what they hold become one set', () => {
    const forgeries = fc.array(
      fc.record({
        replica: fc.constantFrom(a, b, c),
        hlc: fc.integer({ min: 2, max: 40 }),
        reach: fc.array(fc.tuple(fc.constantFrom(a, b, c), fc.integer({ min: 1, max: 39 })), { maxLength: 3 }),
        dots: fc.array(fc.tuple(fc.constantFrom(a, b, c), fc.integer({ min: 1, max: 39 })), { maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 8 },
    );
    const sides = fc.array(fc.boolean(), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(forgeries, deliveries, deliveries, sides, (specs, one, other, isLeft) => {
        const deltas = specs.map(({ replica, hlc, reach, dots }, i) => {
          const below = (list: typeof reach) => list.filter(([, entry]) => entry < hlc);
          return makeDelta({ replica, seq: i + 1, hlc, context: contextOf(below(reach), below(dots)), text: `${i}` });
        });
        const left = tablesOf(deliver(deltas, one));
        const right = tablesOf(
          deliver(
            deltas.filter((_, i) => isLeft[i] || i === 0),
            other,
          ),
        );
        exchange(left, right, deltas.length);
        expect(dumpOf(left, SET)).toEqual(dumpOf(right, SET));
        for (const held of heldIn(left)) expect(heldIn(left).some((by) => supersedes(by, held))).toBe(false);
      }),
      { numRuns: 120 },
    );
  });

  test('[CX1][CX2] scenario 1: a context that reaches far takes what lies below its own stamp, and nothing later', () => {
    const early = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const forged = makeDelta({ replica: b, seq: 1, hlc: 100, context: contextOf([[a, 99]]) });
    const late = makeDelta({ replica: a, seq: 2, hlc: 101, prev: 5, context: contextOf([[a, 5]]) });
    const tables = tablesOf([[early], [forged], [late]]);
    expect(idsIn(tables)).toEqual([forged.id, late.id].sort());
  });

  test('[CX2] only deltas of the same key are superseded', () => {
    const here = makeDelta({ replica: a, seq: 1, hlc: 5, name: record('a') });
    const there = makeDelta({ replica: a, seq: 2, hlc: 6, name: record('b') });
    const over = makeDelta({ replica: b, seq: 1, hlc: 9, name: record('b'), context: contextOf([[a, 6]]) });
    expect(idsIn(tablesOf([[here, there, over]]))).toEqual([here.id, over.id].sort());
  });

  test('[CX2][SY8] outcomes: added, superseded, known', () => {
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const over = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const outcomesOf = (...batches: Delta[][]): readonly Outcome[] => {
      const tables = new MemoryTables();
      return batches.flatMap((batch) => accept(tables, batch).outcomes);
    };
    expect(outcomesOf([first], [over], [first], [over])).toEqual(['added', 'added', 'known', 'known']);
    expect(outcomesOf([over], [first], [first])).toEqual(['added', 'superseded', 'known']);
    expect(outcomesOf([over, first, first, over])).toEqual(['added', 'superseded', 'known', 'known']);
    expect(outcomesOf([first, over, first])).toEqual(['added', 'added', 'known']);
    expect(outcomesOf([first, first])).toEqual(['added', 'known']);
  });

  test('[SY8] a replay writes nothing but what it finds', () => {
    fc.assert(
      fc.property(historySteps, deliveries, (steps, delivery) => {
        const deltas = makeHistory(steps).map(({ delta }) => delta);
        fc.pre(deltas.length > 0);
        // The vector too: what was superseded on arrival above a gap is not remembered, and may close it now.
        const tables = tablesOf([...deliver(deltas, delivery), deltas, deltas]);
        const before = tables.dump();
        const { outcomes, removed } = accept(tables, heldIn(tables));
        expect([new Set(outcomes), removed]).toEqual([new Set(['known']), []]);
        expect(tables.dump()).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });

  test('[CX8] scenario 11: superseded bytes are retained where that is asked, within one batch too', () => {
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const second = makeDelta({ replica: a, seq: 2, hlc: 6, prev: 5, name: record('b') });
    const garbage = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const readable = makeDelta({ replica: b, seq: 2, hlc: 9, name: record('b'), context: contextOf([[a, 6]]) });
    const retain = (superseding: Pick<Delta, 'id'>): boolean => superseding.id === garbage.id;
    for (const batches of [
      [
        [first, second],
        [garbage, readable],
      ],
      [[first, second, garbage, readable]],
    ]) {
      const tables = tablesOf(batches, { retain, nowMs: 77 });
      expect(retainedIn(tables)).toEqual([first.id]);
      const [[key, value] = []] = tables.table('retained').rows(EVERYTHING);
      expect([key?.[7], value]).toEqual([77, first.bytes]);
      expect(idsIn(tables)).toEqual([garbage.id, readable.id].sort());
    }
  });

  test('[CX8] a garbage delta is a member of the set like any other, and its context counts', () => {
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const garbage = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]), text: '\0garbage' });
    const tables = tablesOf([[first], [garbage]], { retain: () => true });
    expect(idsIn(tables)).toEqual([garbage.id]);
  });

  test('[CX7] both ids of a fork are kept when they come from others', () => {
    const one = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'one' });
    const two = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'two' });
    const elsewhere = makeDelta({ replica: a, seq: 1, hlc: 8, name: record('b') });
    for (const batches of [[[one], [two], [elsewhere]], [[one, two, elsewhere]]]) {
      const tables = new MemoryTables();
      const outcomes = batches.flatMap((batch) => accept(tables, batch).outcomes);
      expect(outcomes).toEqual(['added', 'forked', 'forked']);
      expect(idsIn(tables)).toEqual([one.id, two.id, elsewhere.id].sort());
      expect(splitTrieKeys(tables.table('dots').get(dotKey(one)) as Uint8Array)).toHaveLength(3);
    }
  });

  test('[CX7] both ids of a fork leave together when both are covered, and their dot with them', () => {
    const one = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'one' });
    const two = makeDelta({ replica: a, seq: 1, hlc: 6, text: 'two' });
    const over = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 6]]) });
    const tables = tablesOf([[one, two], [over]]);
    expect(idsIn(tables)).toEqual([over.id]);
    expect(
      tables
        .table('dots')
        .rows(EVERYTHING)
        .map(([key]) => bytesToHex(key)),
    ).toEqual([bytesToHex(dotKey(over))]);
    const half = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const halved = tablesOf([[one, two], [half]]);
    expect(halved.table('dots').get(dotKey(one))).toEqual(trieKeyOf(two));
  });

  test('[CX7] scenario 8: an author who pushes a second id on a used dot is refused, and nothing changes', () => {
    const one = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'one' });
    const two = makeDelta({ replica: a, seq: 1, hlc: 6, text: 'two', name: record('b') });
    const tables = tablesOf([[one]], { from: 'author' });
    const before = tables.dump();
    expect(accept(tables, [two], { from: 'author' }).outcomes).toEqual(['reused']);
    expect(tables.dump()).toEqual(before);
    expect(accept(new MemoryTables(), [one, two], { from: 'author' }).outcomes).toEqual(['added', 'reused']);
    expect(accept(tables, [one], { from: 'author' }).outcomes).toEqual(['known']);
  });

  test('[CX7] so it is when the first id is superseded by now, and when the second one is covered', () => {
    const one = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'one' });
    const over = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const two = makeDelta({ replica: a, seq: 1, hlc: 6, text: 'two' });
    const superseded = tablesOf([[one], [over]]);
    expect(accept(superseded, [two], { from: 'author' }).outcomes).toEqual(['reused']);
    expect(accept(superseded, [one], { from: 'author' }).outcomes).toEqual(['known']);
    const there = makeDelta({ replica: a, seq: 1, hlc: 4, name: record('b') });
    const covering = tablesOf([[there], [over]]);
    expect(accept(covering, [one], { from: 'author' }).outcomes).toEqual(['reused']);
  });

  test('[CX6] a delta that a batch removes and brings back was never gone', () => {
    const held = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const over = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    // Forged: it covers what covers, and not what was covered.
    const above = makeDelta({ replica: c, seq: 1, hlc: 12, context: contextOf([[b, 9]]) });
    const tables = tablesOf([[held]]);
    const { outcomes, removed } = accept(tables, [over, above, held]);
    expect([outcomes, removed]).toEqual([['added', 'added', 'known'], []]);
    expect(dumpOf(tables, SET)).toEqual(dumpOf(tablesOf([[above], [held]]), SET));
  });
});

describe('removeDelta', () => {
  test('[CX3][SY10] scenario 16: it is the inverse of adding', () => {
    fc.assert(
      fc.property(historySteps, fc.nat(), (steps, pick) => {
        const deltas = makeHistory(steps).map(({ delta }) => delta);
        fc.pre(deltas.length > 0);
        const tables = tablesOf([deltas]);
        const victim = heldIn(tables)[pick % heldIn(tables).length] as Delta;
        const without = tables.clone();
        const { root, count } = without.transact((tx) => removeDelta(tx, room, victim)).result;
        expect(idsIn(without)).toEqual(idsIn(tables).filter((id) => id !== victim.id));
        const keys = heldIn(without).map(trieKeyOf).sort(compareBytes);
        expect([root, count]).toEqual([buildTrie(sha256, keys).root, keys.length]);
        expect(dumpOf(without, SET)).toEqual(dumpOf(tablesOf([heldIn(without)]), SET));
        expect(accept(without, [victim]).outcomes).toEqual(['added']);
        expect(dumpOf(without, SET)).toEqual(dumpOf(tables, SET));
      }),
      { numRuns: 60 },
    );
  });

  test('[SY3][SY10] its dot can be used again by the real one, and the vector waits for it', () => {
    const forged = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'forged' });
    const real = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'real' });
    const next = makeDelta({ replica: a, seq: 2, hlc: 6, prev: 5 });
    const tables = tablesOf([[forged, next]], { from: 'author' });
    expect(vectorOf(tables)).toEqual(new Map([[a, 2]]));
    tables.transact((tx) => removeDelta(tx, room, forged));
    expect(vectorOf(tables)).toEqual(new Map());
    expect(accept(tables, [real], { from: 'author' }).outcomes).toEqual(['added']);
    expect(vectorOf(tables)).toEqual(new Map([[a, 2]]));
  });

  test('[SY3][CX7] while the other id of a fork is held, the vector stays', () => {
    const one = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'one' });
    const two = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'two' });
    const tables = tablesOf([[one, two]]);
    tables.transact((tx) => removeDelta(tx, room, one));
    expect([idsIn(tables), vectorOf(tables)]).toEqual([[two.id], new Map([[a, 1]])]);
  });
});

function supersedes(by: { keyId: string; context: Context }, delta: Delta): boolean {
  return by.keyId === delta.keyId && covers(by.context, delta);
}
