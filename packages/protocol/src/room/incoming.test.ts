import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { document, makeDelta, replicaOf, room } from '../../../../test/interop/fixture.js';
import { bytesToU64, equalBytes } from '../bytes.js';
import { type Delta, trieKeyOf } from '../delta.js';
import { defaultLimits } from '../limits.js';
import { countParts, PART_BYTES, partOf } from '../parts.js';
import { MemoryTables } from '../store/memory-store.js';
import { Transaction } from '../store/plan.js';
import { bytesToStub, deltaToStub, type Stub } from '../stub.js';
import { acceptDeltas } from './accept.js';
import { keepPart, keepStubs, readFetches, readJoined } from './incoming.js';
import { recount, writeTallies } from './incoming-rows.js';

const [a, b] = [replicaOf(0), replicaOf(1)] as const;
const { hash, roomId } = room;

const large = (seq: number, bytes = 2 * PART_BYTES + 9, replica = a): Delta =>
  makeDelta({ replica, seq, hlc: seq, prev: seq - 1, name: document(`d${seq}`), text: String(seq % 10).repeat(bytes) });
const stubOf = (delta: Delta): Stub => bytesToStub(hash, roomId, deltaToStub(hash, roomId, delta));

function createStore() {
  const tables = new MemoryTables();
  const self = {
    tables,
    keep: (deltas: readonly Delta[], nowMs = 0, sender = a) =>
      tables.transact((tx) =>
        keepStubs(
          tx,
          deltas.map((delta) => ({ stub: stubOf(delta), sender, isAuthors: delta.replica === sender })),
          nowMs,
        ),
      ).result,
    part: (delta: Delta, index: number, bytes = partOf(delta.body, index)) =>
      tables.transact((tx) => keepPart(tx, room, { trieKey: trieKeyOf(delta), index, bytes })).result,
    joined: (delta: Delta) => tables.transact((tx) => readJoined(tx, room, trieKeyOf(delta))).result,
    accept: (deltas: readonly Delta[]) =>
      tables.transact((tx) => acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain: () => false })).result,
    fetches: () => tables.transact((tx) => readFetches(tx, room)).result,
    /** Of stubs and parts. */
    rows: () => tables.table('incoming').rows({ from: Uint8Array.of(0), to: Uint8Array.of(2) }).length,
    allRows: () => tables.table('incoming').size,
  };
  return self;
}

describe('incoming', () => {
  test('[SY18] a stub, then its parts in order, then the delta, and nothing is left', () => {
    const store = createStore();
    const delta = large(1);
    const fetch = { trieKey: trieKeyOf(delta), parts: 3, have: 0, bodyBytes: delta.body.length };
    expect(store.keep([delta])).toEqual({ fetches: [fetch], held: [] });
    expect(store.tables.table('deltas').size + store.tables.table('dots').size).toBe(0);
    for (let index = 0; index < 3; index++) {
      expect(store.joined(delta)).toBeUndefined();
      expect(store.part(delta, index)).toBe(index + 1);
      expect(store.fetches()).toEqual([{ ...fetch, have: index + 1 }]);
    }
    const joined = store.joined(delta);
    expect([joined?.delta.id, joined?.isAuthors]).toEqual([delta.id, true]);
    expect(equalBytes(joined?.delta.bytes as Uint8Array, delta.bytes)).toBe(true);
    store.accept([delta]);
    expect(store.allRows()).toBe(0);
    expect(store.keep([delta])).toEqual({ fetches: [], held: [trieKeyOf(delta)] });
    expect(store.joined(delta)?.delta.id).toBe(delta.id);
  });

  test('[SY18] whatever parts come in whatever order, only the next right one is kept, and all of them make the delta', () => {
    const deltas = [large(1), large(2), large(3, PART_BYTES + 1)];
    const attempt = fc.record({
      delta: fc.nat(2),
      index: fc.nat(4),
      of: fc.nat(2),
      at: fc.nat(3),
      isCut: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(attempt, { maxLength: 12 }), (attempts) => {
        const store = createStore();
        store.keep(deltas.slice(0, 2));
        const have = [0, 0];
        for (const { delta, index, of, at, isCut } of attempts) {
          const target = deltas[delta] as Delta;
          const whole = partOf((deltas[of] as Delta).body, at);
          const isNext = delta < 2 && delta === of && index === at && index === have[delta] && index < 3;
          if (isNext && !isCut) have[delta] = index + 1;
          expect(store.part(target, index, isCut ? whole.slice(1) : whole)).toBe(delta < 2 ? have[delta] : undefined);
        }
        for (const [i, delta] of deltas.slice(0, 2).entries()) {
          for (let index = have[i] as number; index < 3; index++) expect(store.part(delta, index)).toBe(index + 1);
          expect(store.joined(delta)?.delta.id).toBe(delta.id);
        }
      }),
      { numRuns: 25 },
    );
  });

  test('[SY18] a stub that is offered again keeps its parts; what nobody offers again expires', () => {
    const { incomingExpiryMs } = defaultLimits;
    const store = createStore();
    const [one, two, three] = [large(1), large(2), large(3)] as const;
    store.keep([one, two]);
    store.part(one, 0);
    store.part(two, 0);
    expect(store.keep([one], incomingExpiryMs).fetches).toMatchObject([{ have: 1 }]);
    store.keep([three], incomingExpiryMs + 1);
    expect(store.fetches().map(({ trieKey }) => trieKey)).toEqual([one, three].map(trieKeyOf));
    expect(store.part(two, 1)).toBeUndefined();
    expect(store.rows()).toBe(3);
  });

  test('[SY18] each sender has room for so many, and what it has not got is not kept', () => {
    const { incomingBytesMax } = defaultLimits;
    const store = createStore();
    // The stub of the largest body has about 4 KiB, so bytes are the bound here.
    const one = large(1, 8_000_000);
    const stub = stubOf(one);
    const count = Math.floor(incomingBytesMax / stub.bytes.length);
    const stubs = Array.from({ length: count + 5 }, (_, i) => ({
      stub: { ...stub, hlc: (i + 1) as never, seq: i + 1 },
      sender: a,
      isAuthors: true,
    }));
    const { fetches } = store.tables.transact((tx) => keepStubs(tx, stubs, 0)).result;
    expect(fetches).toHaveLength(count);
    expect(store.keep([large(2, PART_BYTES, b)], 0, b).fetches).toHaveLength(1);
  });

  test('[SY17, SY18] whatever comes within one window finds room', () => {
    const { incomingMax, incomingBytesMax, windowBytes } = defaultLimits;
    const smallest = makeDelta({ replica: a, seq: 1, hlc: 1, name: document(''), text: 'x'.repeat(PART_BYTES) });
    expect(incomingMax).toBeGreaterThan(windowBytes / deltaToStub(hash, roomId, smallest).length);
    expect(incomingBytesMax).toBeGreaterThan(windowBytes);
  });

  test('[SY18] of what was begun each is told with its own parts, in two reads', () => {
    const store = createStore();
    const deltas = [1, 2, 3].map((seq) => large(seq));
    store.keep(deltas);
    for (let index = 0; index < 2; index++) store.part(deltas[2] as Delta, index);
    store.part(deltas[0] as Delta, 0);
    let steps = 0;
    const fetches = store.tables.transact(function* (tx) {
      const reading = readFetches(tx, room);
      for (let step = reading.next(); ; steps++) {
        if (step.done) return step.value;
        step = reading.next(yield step.value);
      }
    }).result;
    const haveOf = (delta: Delta) => fetches.find(({ trieKey }) => equalBytes(trieKey, trieKeyOf(delta)))?.have;
    expect(deltas.map(haveOf)).toEqual([1, 0, 2]);
    expect(fetches.map(({ have }) => have > 0)).toEqual([true, true, false]);
    expect(steps).toBe(2);
  });

  test('[SY18] of too many that were begun the oldest go', () => {
    const { incomingStartedMax } = defaultLimits;
    const store = createStore();
    const deltas = Array.from({ length: incomingStartedMax + 3 }, (_, i) => large(i + 1, PART_BYTES));
    for (const [i, delta] of deltas.entries()) {
      store.keep([delta], i);
      store.part(delta, 0);
    }
    store.keep([large(100, PART_BYTES)], deltas.length);
    const begun = store.fetches().filter(({ have }) => have > 0);
    expect(begun).toHaveLength(incomingStartedMax);
    expect(begun.map(({ trieKey }) => trieKey)).not.toContainEqual(trieKeyOf(deltas[0] as Delta));
    expect(countParts(PART_BYTES + 1)).toBe(2);
  });

  test('[SY18] keeping one costs what it costs, whatever else waits', () => {
    const store = createStore();
    const readsOf = (delta: Delta, nowMs: number) => {
      let reads = 0;
      const plan = keepStubs(new Transaction(), [{ stub: stubOf(delta), sender: b, isAuthors: false }], nowMs);
      for (let step = plan.next(); !step.done; step = plan.next(step.value.map((read) => store.tables.read(read))))
        for (const read of step.value) {
          const answer = store.tables.read(read);
          reads += 1 + (Array.isArray(answer) ? answer.length : 0);
        }
      return reads;
    };
    store.keep([large(1)]);
    const alone = readsOf(large(2), 1);
    const others = manyStubs(5_000, a);
    store.tables.transact((tx) => keepStubs(tx, others, 0));
    expect(readsOf(large(2), 1)).toBe(alone);
    expect(readsOf(large(2), defaultLimits.incomingExpiryMs + 2), 'of what has expired a bounded number').toBeLessThan(
      3_000,
    );
  });

  test('[SY18] what has expired goes, however much it is, with the stubs that come next', () => {
    const store = createStore();
    store.tables.transact((tx) => keepStubs(tx, manyStubs(700, a), 0));
    for (let i = 0; i < 3; i++) store.keep([large(i + 1)], defaultLimits.incomingExpiryMs + 1 + i);
    expect(store.rows()).toBe(3);
  });

  test('[SY18] of all senders together the oldest go', () => {
    const { incomingAllBytesMax } = defaultLimits;
    const store = createStore();
    const oldest = large(1, PART_BYTES, b);
    store.keep([oldest], 0, b);
    const bytesOf = stubOf(large(1, 8_000_000)).bytes.length;
    const each = 500;
    const messages = Math.ceil(incomingAllBytesMax / (each * bytesOf)) + 1;
    for (let n = 0; n < messages; n++) {
      const stubs = manyStubs(each, replicaOf(2 + (n % 6)), stubOf(large(1, 8_000_000)), n * each);
      expect(store.tables.transact((tx) => keepStubs(tx, stubs, n + 1)).result.fetches).toHaveLength(each);
    }
    const left = store.tables.table('incoming').rows({ from: Uint8Array.of(0), to: Uint8Array.of(1) });
    const bytes = left.reduce((sum, [, row]) => sum + row.length - 17, 0);
    expect(bytes).toBeLessThanOrEqual(incomingAllBytesMax);
    expect(bytes).toBeGreaterThan(incomingAllBytesMax - 2 * bytesOf);
    expect(store.part(oldest, 0)).toBeUndefined();
  });

  test('[SY18] who has begun many makes room for others before those who have begun few', () => {
    const { incomingStartedMax, incomingStartedAllMax } = defaultLimits;
    const store = createStore();
    const few = large(1, PART_BYTES, b);
    store.keep([few], 0, b);
    store.part(few, 0);
    let seq = 1;
    for (let n = 0; n < incomingStartedAllMax / incomingStartedMax + 1; n++) {
      for (let i = 0; i < incomingStartedMax; i++) {
        const delta = large(++seq, PART_BYTES);
        store.keep([delta], seq, replicaOf(2 + n));
        store.part(delta, 0);
      }
    }
    const begun = store.fetches().filter(({ have }) => have > 0);
    expect(begun).toHaveLength(incomingStartedAllMax);
    expect(begun.map(({ trieKey }) => trieKey)).toContainEqual(trieKeyOf(few));
  });

  test('[SY18] what is counted is what is there, whatever comes, goes and comes again', () => {
    const deltas = Array.from({ length: 6 }, (_, i) => large(i + 1, PART_BYTES + i));
    const step = fc.record({
      what: fc.constantFrom('keep', 'keep', 'part', 'accept', 'late'),
      delta: fc.nat(5),
      sender: fc.constantFrom(a, b),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const store = createStore();
        let nowMs = 0;
        for (const { what, delta, sender } of steps) {
          const one = deltas[delta] as Delta;
          nowMs += what === 'late' ? defaultLimits.incomingExpiryMs / 2 : 1;
          if (what === 'keep' || what === 'late') store.keep([one], nowMs, sender);
          else if (what === 'part') store.part(one, 0);
          else store.accept([one]);
          const before = store.tables.table('incoming').rows({ from: Uint8Array.of(2) });
          store.tables.transact(function* (tx) {
            if ((yield* tx.keys('incoming', { from: Uint8Array.of(0), limit: 1 })).length === 0) return;
            const [total] = yield* tx.rows('incoming', { from: Uint8Array.of(5) });
            writeTallies(tx, yield* recount(tx, bytesToU64(total?.[1] as Uint8Array, 16)));
          });
          expect(store.tables.table('incoming').rows({ from: Uint8Array.of(2) })).toEqual(before);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('[SY18] a store from before anything was counted is counted with the next stub', () => {
    const store = createStore();
    const [one, two, three] = [large(1), large(2), large(3)] as const;
    store.keep([one, two]);
    store.part(one, 0);
    store.tables.transact(function* (tx) {
      for (const key of yield* tx.keys('incoming', { from: Uint8Array.of(2) })) tx.delete('incoming', key);
    });
    store.accept([two]);
    expect(store.rows()).toBe(2);
    const { incomingExpiryMs } = defaultLimits;
    store.keep([three], 1);
    store.keep([three], incomingExpiryMs + 1);
    expect(
      store.fetches().map(({ trieKey }) => trieKey),
      'the first has expired',
    ).toEqual([trieKeyOf(three)]);
    store.accept([three]);
    expect(store.allRows()).toBe(0);
  });
});

/** Stubs that differ in their places alone. */
function manyStubs(count: number, sender: Delta['replica'], like = stubOf(large(1)), from = 0) {
  return Array.from({ length: count }, (_, i) => ({
    stub: { ...like, hlc: (from + i + 10) as never, seq: from + i + 10 },
    sender,
    isAuthors: true,
  }));
}
