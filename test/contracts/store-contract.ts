import {
  bytesToHex,
  bytesToU64,
  concatBytes,
  equalBytes,
  MangroveError,
  MemoryStore,
  type Plan,
  type Range,
  type ReadResult,
  type Row,
  type Store,
  type Steps,
  type Table,
  type Transaction,
  u64ToBytes,
  utf8ToBytes,
} from '@mangrove/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

// What every store owes; the docstring of `Store` and `Transaction` is the source.
//
// ST1  `get` gives the last value put under exactly that key of that table, or undefined.
// ST2  `rows` and `keys` give [from, to) in byte order, or backwards, at most `limit` of them from where reading begins.
// ST3  A plan's reads see its own earlier writes.
// ST4  When a plan throws, nothing is written and the promise rejects with what it threw.
// ST5  Between a plan's reads and its writes no other plan writes; a read plan sees one state from its first read to its last.
// ST6  Plans, also of different modes and durabilities, take effect in the order in which they were started.
// ST7  A plan in mode `read` that writes is refused, and nothing is written.
// ST8  Rooms of one database do not see each other.
// ST9  What a resolved `strict` transaction wrote is there after the store is closed and opened again.
// ST10 Values of any size, also none, and batches of thousands come back byte for byte, as arrays that nobody changes later.
// ST11 After `close`, which is idempotent, `transact` rejects with `CLOSED`; what was under way finishes.

export interface StoreUnderTest {
  /** Empty. */
  readonly store: Store;
  /** Another room of the same database, for stores that share one. */
  readonly neighbour?: Store;
  /** Closes the store and opens the same room again. Missing where nothing outlives the store. */
  readonly reopen?: () => Promise<Store>;
  destroy(): Promise<void>;
}

export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`store contract: ${name}`, () => {
    let subject: StoreUnderTest;
    let store: Store;

    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.destroy());

    test('[ST1] get gives what was put, the last value of each key, and undefined for the rest', async () => {
      await write(store, (tx) => {
        tx.put('meta', bytes(1), bytes(10));
        tx.put('meta', bytes(1), bytes(11));
        tx.put('meta', bytes(1, 0), bytes(12));
      });
      await write(store, (tx) => tx.put('nodes', bytes(1), bytes(13)));
      expect(await get(store, 'meta', bytes(1))).toEqual(bytes(11));
      expect(await get(store, 'meta', bytes(1, 0))).toEqual(bytes(12));
      expect(await get(store, 'nodes', bytes(1))).toEqual(bytes(13));
      expect(await get(store, 'meta', bytes())).toBeUndefined();
      expect(await get(store, 'meta', bytes(1, 0, 0))).toBeUndefined();
      expect(await get(store, 'heads', bytes(1))).toBeUndefined();
    });

    test('[ST1] a deleted row is gone, deleting a missing one does nothing', async () => {
      await write(store, (tx) => tx.put('meta', bytes(1), bytes(10)));
      await write(store, (tx) => {
        tx.delete('meta', bytes(1));
        tx.delete('meta', bytes(2));
      });
      expect(await get(store, 'meta', bytes(1))).toBeUndefined();
      expect(await keysOf(store, { from: bytes() })).toEqual([]);
    });

    test('[ST1] the empty key is a key', async () => {
      await write(store, (tx) => tx.put('meta', bytes(), bytes(1)));
      expect(await get(store, 'meta', bytes())).toEqual(bytes(1));
      expect(await keysOf(store, { from: bytes() })).toEqual(['']);
    });

    test('[ST1] one step may ask for many things and gets the answers in their order', async () => {
      await write(store, (tx) => {
        tx.put('meta', bytes(1), bytes(10));
        tx.put('meta', bytes(2), bytes(20));
      });
      const answers = await store.transact(
        function* (): Steps<readonly ReadResult[]> {
          return yield [
            { kind: 'get', table: 'meta', key: bytes(2) },
            { kind: 'keys', table: 'meta', from: bytes() },
            { kind: 'get', table: 'meta', key: bytes(9) },
            { kind: 'rows', table: 'meta', from: bytes(), reverse: true, limit: 1 },
            { kind: 'get', table: 'meta', key: bytes(1) },
          ];
        },
        { mode: 'read' },
      );
      expect(answers).toEqual([bytes(20), [bytes(1), bytes(2)], undefined, [[bytes(2), bytes(20)]], bytes(10)]);
    });

    const ordered = ['', '00', '0000', '01', '01ff', '0200', '7f', '80', 'fe', 'ff', 'ff00', 'ffff', 'ffffff'];
    const ranges: readonly [title: string, range: Range, expected: readonly string[]][] = [
      ['all from the empty key on', { from: bytes() }, ordered],
      ['from a key that is there', { from: bytes(0x80) }, ordered.slice(7)],
      ['from a key that is not there', { from: bytes(0x81) }, ordered.slice(8)],
      ['up to a key, which is left out', { from: bytes(), to: bytes(1) }, ['', '00', '0000']],
      ['a prefix', { from: bytes(1), to: bytes(2) }, ['01', '01ff']],
      ['a prefix of 0xff bytes, which has no end', { from: bytes(0xff) }, ['ff', 'ff00', 'ffff', 'ffffff']],
      ['up to a key of 0xff bytes', { from: bytes(0xff), to: bytes(0xff, 0xff) }, ['ff', 'ff00']],
      ['limited', { from: bytes(), limit: 3 }, ['', '00', '0000']],
      ['limited beyond the end', { from: bytes(0xff), limit: 99 }, ['ff', 'ff00', 'ffff', 'ffffff']],
      ['limited to nothing', { from: bytes(), limit: 0 }, []],
      ['backwards', { from: bytes(), reverse: true }, [...ordered].reverse()],
      ['backwards between two keys', { from: bytes(1), to: bytes(0x80), reverse: true }, ['7f', '0200', '01ff', '01']],
      [
        'backwards from a key that is not there',
        { from: bytes(1), to: bytes(3), reverse: true },
        ['0200', '01ff', '01'],
      ],
      ['the last ones', { from: bytes(), reverse: true, limit: 2 }, ['ffffff', 'ffff']],
      ['the last ones before a key', { from: bytes(), to: bytes(0xff), reverse: true, limit: 2 }, ['fe', '80']],
      [
        'backwards, limited beyond the start',
        { from: bytes(0xfe), reverse: true, limit: 99 },
        ordered.slice(8).reverse(),
      ],
      ['backwards, limited to nothing', { from: bytes(), reverse: true, limit: 0 }, []],
      ['empty: to is from', { from: bytes(1), to: bytes(1) }, []],
      ['empty: to is before from', { from: bytes(2), to: bytes(1) }, []],
      ['empty backwards: to is before from', { from: bytes(2), to: bytes(1), reverse: true, limit: 1 }, []],
      ['empty: nothing in between', { from: bytes(3), to: bytes(4) }, []],
      ['empty: beyond the last', { from: bytes(0xff, 0xff, 0xff, 0) }, []],
    ];
    test.each(ranges)('[ST2] ranges: %s', async (_, range, expected) => {
      await write(store, (tx) => {
        for (const key of shuffled(ordered)) tx.put('deltas', hex(key), utf8ToBytes(`value of ${key}`));
        // Rows that must not show: the tables before and after this one.
        tx.put('meta', bytes(0xff, 0xff, 0xff, 0xff), bytes(1));
        tx.put('nodes', bytes(), bytes(1));
      });
      expect(await keysOf(store, range, 'deltas')).toEqual(expected);
      const rows = await rowsOf(store, range, 'deltas');
      expect(rows).toEqual(expected.map((key) => [hex(key), utf8ToBytes(`value of ${key}`)]));
    });

    test('[ST3] a plan reads what it wrote itself', async () => {
      await write(store, (tx) => {
        for (const n of [1, 3, 5, 7]) tx.put('meta', bytes(n), bytes(n));
      });
      const seen = await store.transact(
        function* (tx) {
          tx.put('meta', bytes(2), bytes(20));
          tx.put('meta', bytes(3), bytes(30));
          tx.delete('meta', bytes(1));
          tx.delete('meta', bytes(7));
          return {
            values: yield* tx.getMany('meta', [bytes(1), bytes(2), bytes(3), bytes(5)]),
            firstTwo: yield* tx.keys('meta', { from: bytes(), limit: 2 }),
            lastTwo: yield* tx.keys('meta', { from: bytes(), limit: 2, reverse: true }),
            rows: yield* tx.rows('meta', { from: bytes(2), to: bytes(6) }),
          };
        },
        { mode: 'write' },
      );
      expect(seen).toEqual({
        values: [undefined, bytes(20), bytes(30), bytes(5)],
        firstTwo: [bytes(2), bytes(3)],
        lastTwo: [bytes(5), bytes(3)],
        rows: [
          [bytes(2), bytes(20)],
          [bytes(3), bytes(30)],
          [bytes(5), bytes(5)],
        ],
      });
    });

    test('[ST4] a plan that throws leaves nothing behind', async () => {
      await write(store, (tx) => tx.put('meta', bytes(1), bytes(1)));
      const fault = new MangroveError('DELTA_MALFORMED', { reason: 'on purpose' });
      const failing = store.transact(
        function* (tx) {
          tx.put('meta', bytes(1), bytes(2));
          tx.put('nodes', bytes(1), bytes(2));
          tx.delete('meta', bytes(1));
          yield* tx.get('heads', bytes(1));
          throw fault;
        },
        { mode: 'write' },
      );
      await expect(failing).rejects.toBe(fault);
      expect(await get(store, 'meta', bytes(1))).toEqual(bytes(1));
      expect(await get(store, 'nodes', bytes(1))).toBeUndefined();
    });

    test('[ST4] a plan that throws does not disturb those around it', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) =>
          store.transact(
            function* (tx) {
              tx.put('meta', bytes(n), bytes(n));
              yield* tx.get('meta', bytes(0xff));
              if (n % 3 === 1) throw new Error(`plan ${n}`);
              return n;
            },
            { mode: 'write' },
          ),
        ),
      );
      const good = outcomes.flatMap((outcome, n) => (outcome.status === 'fulfilled' ? [n] : []));
      expect(good).toEqual(Array.from({ length: 20 }, (_, n) => n).filter((n) => n % 3 !== 1));
      expect(await keysOf(store, { from: bytes() })).toEqual(good.map((n) => bytesToHex(bytes(n))));
    });

    test('[ST5] 50 increments started at once count to 50', async () => {
      const results = await Promise.all(Array.from({ length: 50 }, () => store.transact(increment, { mode: 'write' })));
      expect(results).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
      expect(await store.transact(count, { mode: 'read' })).toBe(50);
    });

    test('[ST5] a read plan sees one state, whatever is written meanwhile', async () => {
      const reading = store.transact(
        function* (tx) {
          const seen: number[] = [];
          for (let step = 0; step < 20; step++) seen.push(yield* count(tx));
          return new Set(seen).size;
        },
        { mode: 'read' },
      );
      const writing = Array.from({ length: 20 }, () => store.transact(increment, { mode: 'write' }));
      expect(await reading).toBe(1);
      await Promise.all(writing);
    });

    test('[ST6] plans take effect in the order in which they were started', async () => {
      const started = Array.from({ length: 30 }, (_, n) =>
        store.transact(
          function* (tx) {
            const before = (yield* tx.get('meta', bytes(1))) ?? bytes();
            // Plans of different lengths: one with more steps must not fall behind.
            for (let step = 0; step < n % 4; step++) yield* tx.get('nodes', bytes(step));
            tx.put('meta', bytes(1), concatBytes(before, bytes(n)));
          },
          { mode: 'write', durability: n % 2 === 0 ? 'strict' : 'relaxed' },
        ),
      );
      await Promise.all(started);
      expect(await get(store, 'meta', bytes(1))).toEqual(Uint8Array.from({ length: 30 }, (_, n) => n));
    });

    test('[ST6] a read that was started after a write sees it, one that was started before does not', async () => {
      const before = store.transact(count, { mode: 'read' });
      const first = store.transact(increment, { mode: 'write' });
      const between = store.transact(count, { mode: 'read' });
      const second = store.transact(increment, { mode: 'write', durability: 'relaxed' });
      const after = store.transact(count, { mode: 'read' });
      expect(await Promise.all([before, first, between, second, after])).toEqual([0, 1, 1, 2, 2]);
    });

    test('[ST7] a read plan that writes is refused', async () => {
      const writing = store.transact(increment, { mode: 'read' });
      await expect(writing).rejects.toThrow(/a read plan wrote/);
      expect(await store.transact(count, { mode: 'read' })).toBe(0);
    });

    test('[ST8] rooms of one database do not see each other', async ({ skip }) => {
      const { neighbour } = subject;
      if (neighbour === undefined) return skip('this store holds one room');
      const edges = ['', '00', 'ff', 'ffffffffffffffffffffffffffffffffffff'];
      await write(store, (tx) => {
        for (const key of edges) tx.put('meta', hex(key), bytes(1));
      });
      expect(await keysOf(neighbour, { from: bytes() })).toEqual([]);
      expect(await keysOf(neighbour, { from: bytes(), reverse: true, limit: 1 })).toEqual([]);
      expect(await get(neighbour, 'meta', bytes())).toBeUndefined();

      await write(neighbour, (tx) => {
        for (const key of edges) tx.put('meta', hex(key), bytes(2));
        tx.put('meta', bytes(7), bytes(2));
      });
      await write(neighbour, (tx) => tx.delete('meta', bytes(0)));
      expect(await keysOf(store, { from: bytes() })).toEqual(edges);
      expect(await keysOf(store, { from: bytes(), reverse: true })).toEqual([...edges].reverse());
      expect(await get(store, 'meta', bytes(0))).toEqual(bytes(1));
      expect(await keysOf(neighbour, { from: bytes(1) })).toEqual(['07', ...edges.slice(2)]);
    });

    test('[ST8] rooms of one database count apart, also at once', async ({ skip }) => {
      const { neighbour } = subject;
      if (neighbour === undefined) return skip('this store holds one room');
      const stores = Array.from({ length: 40 }, (_, n) => (n % 4 === 0 ? neighbour : store));
      await Promise.all(stores.map((each) => each.transact(increment, { mode: 'write' })));
      expect(await store.transact(count, { mode: 'read' })).toBe(30);
      expect(await neighbour.transact(count, { mode: 'read' })).toBe(10);
    });

    test('[ST9] what was written is there after opening again', async ({ skip }) => {
      if (subject.reopen === undefined) return skip('this store lives as long as the process');
      await write(store, (tx) => {
        tx.put('meta', bytes(1), bytes(10));
        tx.put('deltas', bytes(0xff), new Uint8Array(100_000).fill(7));
        tx.put('nodes', bytes(), bytes());
      });
      await write(store, (tx) => tx.delete('meta', bytes(1)));
      const reopened = await subject.reopen();
      expect(await get(reopened, 'meta', bytes(1))).toBeUndefined();
      expect(await get(reopened, 'nodes', bytes())).toEqual(bytes());
      const large = await get(reopened, 'deltas', bytes(0xff));
      expect(equalBytes(large ?? bytes(), new Uint8Array(100_000).fill(7))).toBe(true);
      expect(await reopened.transact(increment, { mode: 'write' })).toBe(1);
    });

    test('[ST10] values of any size come back byte for byte, as plain arrays that later reads leave alone', async () => {
      const sizes = [0, 1, 255, 4_096, 16_383, 32_767, 32_768, 32_769, 65_536, 100_000, 1_048_576];
      const values = sizes.map((size, n) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + n) & 0xff));
      await write(store, (tx) => {
        for (const [n, value] of values.entries()) tx.put('deltas', bytes(n), value);
      });
      const gotten: (Uint8Array | undefined)[] = [];
      for (const n of values.keys()) gotten.push(await get(store, 'deltas', bytes(n)));
      const rows = await rowsOf(store, { from: bytes() }, 'deltas');
      // Large writes and reads in between: a buffer that a store would use again is overwritten by now.
      await write(store, (tx) => tx.put('deltas', bytes(99), new Uint8Array(1_048_576).fill(0xee)));
      await rowsOf(store, { from: bytes(99) }, 'deltas');
      for (const [n, value] of values.entries()) {
        expect(equalBytes(gotten[n] ?? bytes(99), value), `get of ${sizes[n]} bytes`).toBe(true);
        expect(equalBytes(rows[n]?.[1] ?? bytes(99), value), `rows with ${sizes[n]} bytes`).toBe(true);
        // A Node `Buffer` would pass for an array until someone slices it.
        expect(Object.getPrototypeOf(gotten[n])).toBe(Uint8Array.prototype);
        expect(Object.getPrototypeOf(rows[n]?.[0])).toBe(Uint8Array.prototype);
      }
    });

    test('[ST10] a value and a key that are views store their own bytes only', async () => {
      const large = Uint8Array.from({ length: 1_000 }, (_, i) => i & 0xff);
      await write(store, (tx) => tx.put('meta', large.subarray(10, 13), large.subarray(20, 24)));
      expect(await rowsOf(store, { from: bytes() })).toEqual([[bytes(10, 11, 12), bytes(20, 21, 22, 23)]]);
    });

    test('[ST10] a batch of 5,000 rows is one transaction', async () => {
      await write(store, (tx) => {
        for (let n = 0; n < 5_000; n++) tx.put('log', u64ToBytes(n), concatBytes(u64ToBytes(n), new Uint8Array(40)));
      });
      const rows = await rowsOf(store, { from: bytes() }, 'log');
      expect(rows.length).toBe(5_000);
      expect(rows.every(([key, value], n) => bytesToU64(key) === n && bytesToU64(value) === n)).toBe(true);
      expect(await keysOf(store, { from: u64ToBytes(2_500), limit: 2 }, 'log')).toEqual(
        [2_500, 2_501].map((n) => bytesToHex(u64ToBytes(n))),
      );
    });

    test('[ST11] a closed store rejects with CLOSED and finishes what was under way', async () => {
      const underWay = Array.from({ length: 10 }, () => store.transact(increment, { mode: 'write' }));
      const closing = store.close();
      await expect(store.transact(increment, { mode: 'write' })).rejects.toMatchObject({ code: 'CLOSED' });
      expect(await Promise.all(underWay)).toEqual(Array.from({ length: 10 }, (_, n) => n + 1));
      await closing;
      await store.close();
      await expect(store.transact(count, { mode: 'read' })).rejects.toMatchObject({ code: 'CLOSED' });
      if (subject.reopen === undefined) return;
      expect(await (await subject.reopen()).transact(count, { mode: 'read' })).toBe(10);
    });

    test('[ST1] [ST2] [ST3] any plans have the same results as in the reference', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(planOf, { maxLength: 6 }), async (plans) => {
          const reference = new MemoryStore();
          await clear(store);
          for (const steps of plans) {
            const plan = perform(steps);
            const [expected, actual] = await Promise.all([
              reference.transact(plan, { mode: 'write' }),
              store.transact(plan, { mode: 'write', durability: 'relaxed' }),
            ]);
            expect(actual).toEqual(expected);
          }
          expect(await store.transact(everything, { mode: 'read' })).toEqual(
            await reference.transact(everything, { mode: 'read' }),
          );
        }),
        { numRuns: 60 },
      );
    });
  });
}

const increment: Plan<number> = function* (tx) {
  const next = (yield* count(tx)) + 1;
  tx.put('meta', utf8ToBytes('counter'), u64ToBytes(next));
  return next;
};

function* count(tx: Transaction): Steps<number> {
  const value = yield* tx.get('meta', utf8ToBytes('counter'));
  return value === undefined ? 0 : bytesToU64(value);
}

/** Few keys, so that plans meet each other, and the bytes at which orders go wrong. */
const keyOf = fc
  .array(fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff), { maxLength: 3 })
  .map((key) => bytes(...key));
const tables = ['meta', 'deltas', 'nodes'] as const satisfies readonly Table[];
const tableOf = fc.constantFrom(...tables);
const rangeOf = fc.record(
  { from: keyOf, to: keyOf, limit: fc.nat(5), reverse: fc.boolean() },
  { requiredKeys: ['from'] },
);
const stepOf = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), table: tableOf, key: keyOf, value: fc.uint8Array({ maxLength: 4 }) }),
  fc.record({ kind: fc.constant('delete' as const), table: tableOf, key: keyOf }),
  fc.record({ kind: fc.constant('get' as const), table: tableOf, key: keyOf }),
  fc.record({ kind: fc.constant('rows' as const), table: tableOf, range: rangeOf }),
  fc.record({ kind: fc.constant('keys' as const), table: tableOf, range: rangeOf }),
);
const planOf = fc.array(stepOf, { maxLength: 12 });
type Action = typeof stepOf extends fc.Arbitrary<infer Each> ? Each : never;

function perform(actions: readonly Action[]): Plan<readonly ReadResult[]> {
  return function* (tx) {
    const results: ReadResult[] = [];
    for (const action of actions) {
      switch (action.kind) {
        case 'put':
          tx.put(action.table, action.key, action.value);
          break;
        case 'delete':
          tx.delete(action.table, action.key);
          break;
        case 'get':
          results.push(yield* tx.get(action.table, action.key));
          break;
        case 'rows':
          results.push(yield* tx.rows(action.table, action.range));
          break;
        case 'keys':
          results.push(yield* tx.keys(action.table, action.range));
          break;
      }
    }
    return results;
  };
}

const everything: Plan<readonly (readonly Row[])[]> = function* (tx) {
  const all: (readonly Row[])[] = [];
  for (const table of tables) all.push(yield* tx.rows(table, { from: bytes() }));
  return all;
};

async function clear(store: Store): Promise<void> {
  await store.transact(
    function* (tx) {
      for (const table of tables) {
        for (const key of yield* tx.keys(table, { from: bytes() })) tx.delete(table, key);
      }
    },
    { mode: 'write', durability: 'relaxed' },
  );
}

async function write(store: Store, act: (tx: Transaction) => void): Promise<void> {
  await store.transact(
    function* (tx) {
      act(tx);
    },
    { mode: 'write' },
  );
}

async function get(store: Store, table: Table, key: Uint8Array): Promise<Uint8Array | undefined> {
  return await store.transact((tx) => tx.get(table, key), { mode: 'read' });
}

async function rowsOf(store: Store, range: Range, table: Table = 'meta'): Promise<readonly Row[]> {
  return await store.transact((tx) => tx.rows(table, range), { mode: 'read' });
}

async function keysOf(store: Store, range: Range, table: Table = 'meta'): Promise<readonly string[]> {
  return (await store.transact((tx) => tx.keys(table, range), { mode: 'read' })).map(bytesToHex);
}

function bytes(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values);
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The same order in every run, and none that a store could take for sorted. */
function shuffled(keys: readonly string[]): readonly string[] {
  return keys
    .map((key, n) => [(n * 7) % keys.length, key] as const)
    .sort((a, b) => a[0] - b[0])
    .map(([, key]) => key);
}
