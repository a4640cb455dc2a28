import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dumpOf, makeDelta, record, replicaOf, room, signStub } from '../../../../test/interop/fixture.js';
import { floorOver } from '../../../../test/interop/floor-world.js';
import { type Delta, makeUnsignedDelta } from '../delta.js';
import { floorToBytes, type Place, standingOf } from '../floor.js';
import type { Hlc } from '../hlc.js';
import type { ReplicaId } from '../ids.js';
import { readRoot } from '../merkle/trie.js';
import { MemoryTables } from '../store/memory-store.js';
import { type Plan, Transaction } from '../store/plan.js';
import { acceptDeltas, removeDelta } from './accept.js';
import { floorsOfRow } from './floor-index.js';
import { isReached, isStandingKnown, readUnder } from './floor-rows.js';
import { appendToJournal } from './journal.js';

const [a, b] = [replicaOf(0), replicaOf(1)] as const;
const name = record('unrelated');

function createStore() {
  const tables = new MemoryTables();
  const self = {
    tables,
    run: <Result>(plan: Plan<Result>): Result => tables.transact(plan).result,
    accept: (deltas: readonly Delta[]) => self.run(accepting(deltas)),
    root: () => Buffer.from(self.run(readRoot).root).toString('hex'),
    rows: () => tables.table('floors').rows({ from: new Uint8Array() }),
    held: () => tables.table('deltas').rows({ from: new Uint8Array() }).length,
    /** What a plan reads that is then thrown away: in how many steps, and how many rows. */
    cost(plan: Plan<unknown>): { readonly steps: number; readonly rows: number } {
      const [steps, cost] = [plan(new Transaction()), { steps: 0, rows: 0 }];
      for (let step = steps.next(); !step.done; cost.steps++) {
        const answers = step.value.map((read) => tables.read(read));
        for (const one of answers) cost.rows += Array.isArray(one) ? one.length : Number(one !== undefined);
        step = steps.next(answers);
      }
      return cost;
    },
    /** As a store was before there was an index. */
    forgetIndex: () =>
      self.run(function* (tx) {
        for (const key of yield* tx.keys('floors', { from: new Uint8Array(32), to: new Uint8Array(32).fill(1) }))
          tx.delete('floors', key);
      }),
  };
  return self;
}

const accepting =
  (deltas: readonly Delta[]): Plan<unknown> =>
  (tx) =>
    acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain: () => false });

const place = (hlc: number): Place => ({ seq: hlc, hlc: hlc as Hlc });
const reachOf = (...places: (readonly [ReplicaId, number])[]) => new Map(places.map(([who, hlc]) => [who, place(hlc)]));
const write = (replica: ReplicaId, seq: number, key = name): Delta =>
  makeDelta({ replica, seq, hlc: seq, name: key, text: `${seq}` });
const lettingStand = (...deltas: Delta[]) => reaching(50, ...deltas);
const reaching = (hlc: number, ...deltas: Delta[]) =>
  floorToBytes({
    reach: reachOf([a, hlc]),
    standing: standingOf(deltas.map(({ id }) => id)),
    witnesses: [],
  });

/** Each by another member, over replicas that nobody has heard of, with a standing that nobody has. */
const junk = (count: number, from = 0): readonly Delta[] =>
  Array.from({ length: count }, (_, i) => {
    const body = floorToBytes({
      reach: reachOf([replicaOf(1_000 + from + i), 1]),
      standing: new Uint8Array(8).fill(7),
      witnesses: [],
    });
    return floorOver(new Map(), replicaOf(100 + from + i), 900, body);
  });

describe('floors and what they cost', () => {
  test('[FL3] taking and writing a record costs what it costs, however many floors are held that do not reach it', () => {
    const store = createStore();
    store.accept([write(a, 1), ...junk(2)]);
    const taken = write(b, 2, record('another'));
    const edit = { name, flags: 0, nonces: [], payload: Uint8Array.of(0, 1) };
    const costs = () => [
      store.cost(accepting([taken])),
      store.cost((tx) => appendToJournal(tx, room, [edit], 1_000_000)),
      store.cost((tx) => isReached(tx, room, a, 1 as Hlc)),
    ];
    const before = costs();
    store.accept(junk(150, 2));
    // A path of the trie may be a step longer.
    for (const [i, { steps, rows }] of costs().entries()) {
      expect(steps).toBeLessThanOrEqual((before[i]?.steps ?? 0) + 2);
      expect(rows).toBeLessThanOrEqual((before[i]?.rows ?? 0) + 4);
    }
  });

  test('[FL3] a delta lies under any of the floors that reach it, and under none that all let it stand', () => {
    const store = createStore();
    const [one, two] = [write(a, 10), write(a, 20)] as const;
    const over = (n: number, ...standing: Delta[]) =>
      floorOver(new Map(), replicaOf(10 + n), 900, reaching(50 + n, ...standing));
    store.accept([over(1, one, two), over(2, one, two), over(3, one), one, two]);
    expect(store.held(), 'three floors and the one that all of them let stand').toBe(4);
    const late = write(a, 60, record('later'));
    const lying = store.run((tx) => readUnder(tx, room, [one, two, late, write(b, 1)]));
    expect(lying.map((floor) => floor?.by)).toEqual([undefined, replicaOf(13), undefined, undefined]);
  });

  test('[FL3] one that several floors have missed is struck out of each when it comes', () => {
    const store = createStore();
    const [one, two] = [write(a, 10), write(a, 20, record('two'))] as const;
    const floors = [1, 2].map((n) => floorOver(new Map(), replicaOf(10 + n), 900, lettingStand(one, two)));
    const known = () => floors.map(({ id }) => store.run((tx) => isStandingKnown(tx, id)));
    store.accept(floors);
    store.accept([one]);
    expect(known()).toEqual([false, false]);
    store.accept([two]);
    expect(known()).toEqual([true, true]);
  });

  test('[FL1] a later floor of a replica takes the place of its earlier ones, in whatever order they come', () => {
    const floors = Array.from({ length: 6 }, (_, i) =>
      floorOver(reachOf([i % 2 === 0 ? a : b, 5 + i]), i < 3 ? a : b, 100 + i, undefined, 1 + i),
    );
    const last = [floors[2], floors[5]] as const;
    fc.assert(
      fc.property(fc.shuffledSubarray(floors, { minLength: 6 }), (inOrder) => {
        const store = createStore();
        for (const floor of inOrder) store.accept([floor]);
        expect(store.held()).toBe(2);
        const known = new Set(store.rows().flatMap(([key, value]) => floorsOfRow(key, value)));
        expect(known).toEqual(new Set(last.map((floor) => floor?.id)));
        const fresh = createStore();
        fresh.accept(floors.filter((floor) => last.includes(floor as never)));
        expect(store.root()).toBe(fresh.root());
        expect(dumpOf(store.tables, ['floors', 'contexts'])).toEqual(dumpOf(fresh.tables, ['floors', 'contexts']));
      }),
      { numRuns: 30 },
    );
  });

  test('[FL3] a store from before there was an index reads the same, and has one with the next delta', () => {
    const [store, other] = [createStore(), createStore()];
    const [one, two] = [write(a, 10), write(a, 20)] as const;
    const deltas = [one, floorOver(new Map(), b, 900, lettingStand(one, write(a, 30))), ...junk(2)];
    for (const each of [store, other]) each.accept(deltas);
    store.forgetIndex();
    expect(store.rows().length).toBeLessThan(other.rows().length);
    const asked = (each: typeof store) => [
      each.run((tx) => isReached(tx, room, a, 50 as Hlc)),
      each.run((tx) => isReached(tx, room, a, 51 as Hlc)),
      each.run((tx) => readUnder(tx, room, [one, two])),
      each.cost((tx) => isReached(tx, room, a, 51 as Hlc)).rows > 0,
    ];
    expect(asked(store)).toEqual(asked(other));
    for (const each of [store, other]) each.accept([two, write(b, 5, record('any'))]);
    expect(dumpOf(store.tables, ['floors'])).toEqual(dumpOf(other.tables, ['floors']));
  });

  test('[FL4] nothing is left of floors that have left', () => {
    const [store, fresh] = [createStore(), createStore()];
    const floors = [...junk(3), floorOver(new Map(), replicaOf(9), 900, lettingStand(write(a, 1), write(a, 2)))];
    store.accept([...floors, write(a, 1)]);
    const last = floorOver(reachOf([a, 5]), b, 990);
    const context = { stamps: new Map(floors.map(({ replica, hlc }) => [replica, hlc])), dots: [] };
    const superseding = signStub(makeUnsignedDelta(room.hash, room.roomId, { ...last, context }, last.body));
    for (const each of [store, fresh]) each.accept([superseding]);
    expect(dumpOf(store.tables, ['floors'])).toEqual(dumpOf(fresh.tables, ['floors']));
    store.run((tx) => removeDelta(tx, room, superseding));
    expect(store.rows()).toEqual([]);
  });
});
