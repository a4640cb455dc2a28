import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../bytes.js';
import { MemoryStore, MemoryTables } from './memory-store.js';
import { type Range, runPlanAsync, type Steps, type Transaction } from './plan.js';

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
});
