import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../bytes.js';
import { MemoryStore, MemoryTables } from './memory-store.js';
import { type Range, type Read, runPlanAsync, type Steps, together, type Transaction } from './plan.js';

const key = fc.uint8Array({ maxLength: 2, max: 3 });
const writes = fc.array(fc.tuple(fc.boolean(), key, fc.nat(255)), { maxLength: 12 });
const ranges: fc.Arbitrary<Range> = fc.record({
  from: key,
  to: fc.option(key, { nil: undefined }),
  limit: fc.option(fc.nat(6), { nil: undefined }),
  reverse: fc.option(fc.boolean(), { nil: undefined }),
});

function* write(tx: Transaction, list: readonly (readonly [boolean, Uint8Array, number])[]): Steps<void> {
  for (const [isPut, at, value] of list) {
    if (isPut) tx.put('meta', at, Uint8Array.of(value));
    else tx.delete('meta', at);
  }
}

function* readAll(tx: Transaction, range: Range, at: Uint8Array): Steps<string> {
  const rows = yield* tx.rows('meta', range);
  const keys = yield* tx.keys('meta', range);
  const value = yield* tx.get('meta', at);
  return JSON.stringify([rows.map((row) => row.map(bytesToHex)), keys.map(bytesToHex), value && bytesToHex(value)]);
}

describe('transaction', () => {
  test('reads see what is stored under what the plan has written, in any range', () => {
    fc.assert(
      fc.property(writes, writes, ranges, key, (stored, own, range, at) => {
        const overlaid = new MemoryTables();
        overlaid.transact((tx) => write(tx, stored));
        const applied = overlaid.clone();
        applied.transact((tx) => write(tx, own));
        const seen = overlaid.transact(function* (tx) {
          yield* write(tx, own);
          return yield* readAll(tx, range, at);
        }).result;
        expect(seen).toBe(applied.transact((tx) => readAll(tx, range, at)).result);
        expect(overlaid.dump()).toEqual(applied.dump());
      }),
      { numRuns: 1_000 },
    );
  });

  test('a plan says the same over a store that answers in its own time', async () => {
    await fc.assert(
      fc.asyncProperty(writes, ranges, key, async (stored, range, at) => {
        const tables = new MemoryTables();
        tables.transact((tx) => write(tx, stored));
        const plan = (tx: Transaction): Steps<string> => readAll(tx, range, at);
        const { result } = await runPlanAsync(plan, async (read) => tables.read(read));
        expect(result).toBe(tables.transact(plan).result);
      }),
      { numRuns: 100 },
    );
  });

  test('a plan that throws writes nothing, one that reads only may not write, a closed store is CLOSED', async () => {
    const store = new MemoryStore();
    const put = function* (tx: Transaction): Steps<void> {
      tx.put('meta', Uint8Array.of(1), Uint8Array.of(1));
    };
    const failing = store.transact(
      function* (tx) {
        yield* put(tx);
        throw new Error('halfway');
      },
      { mode: 'write' },
    );
    await expect(failing).rejects.toThrow('halfway');
    await expect(store.transact(put, { mode: 'read' })).rejects.toThrow('a read plan wrote');
    expect(store.tables.dump()).toEqual([]);
    await store.close();
    await expect(store.transact(put, { mode: 'write' })).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('steps that run together say what they say one after the other, in as many rounds as the longest has', () => {
    fc.assert(
      fc.property(writes, writes, fc.array(fc.tuple(ranges, key), { maxLength: 5 }), (stored, own, reads) => {
        const tables = new MemoryTables();
        tables.transact((tx) => write(tx, stored));
        const run = (readThem: (tx: Transaction) => Steps<readonly string[]>) =>
          tables.clone().transact(function* (tx) {
            yield* write(tx, own);
            return yield* readThem(tx);
          }).result;
        const apart = run(function* (tx) {
          const results: string[] = [];
          for (const [range, at] of reads) results.push(yield* readAll(tx, range, at));
          return results;
        });
        const joined = run((tx) => counted(together<string[]>(reads.map(([range, at]) => readAll(tx, range, at))), 3));
        expect(joined).toEqual(apart);
      }),
      { numRuns: 300 },
    );
  });

  test('steps that run together may end at different times, and fail as one', () => {
    const tables = new MemoryTables();
    const ask = function* (rounds: number): Steps<number> {
      for (let i = 0; i < rounds; i++) yield [{ kind: 'get', table: 'meta', key: Uint8Array.of(i) }];
      if (rounds === 9) throw new Error('nine');
      return rounds;
    };
    expect(tables.transact(() => together<number[]>([3, 0, 1, 2].map(ask))).result).toEqual([3, 0, 1, 2]);
    expect(tables.transact(() => together<number[]>([])).result).toEqual([]);
    expect(() => tables.transact(() => together<number[]>([1, 9].map(ask)))).toThrow('nine');
  });
});

/** The same steps, which must not ask more often than that. */
function* counted<Result>(steps: Steps<Result>, roundsMax: number): Steps<Result> {
  let rounds = 0;
  let step = steps.next();
  while (!step.done) {
    rounds++;
    const reads: readonly Read[] = step.value;
    step = steps.next(yield reads);
  }
  expect(rounds).toBeLessThanOrEqual(roundsMax);
  return step.value;
}
