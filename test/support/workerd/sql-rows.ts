import {
  bytesToRoomId,
  bytesToU64,
  MemoryStore,
  type Plan,
  type Row,
  type Store,
  type Table,
  TABLES,
  u64ToBytes,
} from '@mangrove/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_BOUNDS, type SqlBounds } from '../../../packages/relay/src/storage/sql/bounds.js';
import type { SqlDatabase } from '../../../packages/relay/src/storage/sql/sql-database.js';
import { openSql } from '../../../packages/relay/src/storage/sql/sql-store.js';

const EVERYTHING = { from: new Uint8Array() };
const ROOM = bytesToRoomId(new Uint8Array(32).fill(0xaa));

/** What the store of a Durable Object owes beyond the contract: few rows, and memory that is no more than a copy of the disk. */
export function describeRows(storage: SqlDatabase & { deleteAll(): Promise<void> }): void {
  describe('sql rows', () => {
    test('a commit is one row, and its pages are a few more for hundreds of commits', async () => {
      await storage.deleteAll();
      const environment = openSql(storage);
      const store = environment.room(ROOM);
      await commit(store, 0);
      const before = environment.rows.written;
      const commits = 10 * DEFAULT_BOUNDS.slots;
      for (let n = 1; n <= commits; n++) await commit(store, n);
      expect((environment.rows.written - before) / commits).toBeLessThan(1.1);
      const log = await openSql(storage)
        .room(ROOM)
        .transact((tx) => tx.rows('log', EVERYTHING), { mode: 'read' });
      expect(log.length).toBe(commits + 1);
    });

    test('reading writes nothing, not even in an object that is new', async () => {
      await storage.deleteAll();
      const environment = openSql(storage);
      expect(await environment.getMeta('name')).toBeUndefined();
      expect(await environment.room(ROOM).transact((tx) => tx.get('meta', u64ToBytes(1)), { mode: 'write' })).toBe(
        undefined,
      );
      expect(environment.rooms()).toEqual([]);
      expect(environment.rows.written).toBe(0);
    });

    test('what a large value had is free when it goes, however it goes', async () => {
      await storage.deleteAll();
      const store = openSql(storage).room(ROOM);
      const put = (n: number, bytes: number) => write(store, [['deltas', n, new Uint8Array(bytes)]]);
      const pieces = () => storage.sql.exec('SELECT count(*) AS count FROM pieces').toArray()[0]?.count;
      await put(1, 3_000_000);
      await put(2, 20_000);
      expect(pieces()).toBe(4);
      await put(1, 30_000);
      await put(2, 10);
      expect(pieces()).toBe(1);
      await write(store, [['deltas', 1, undefined]]);
      expect(pieces()).toBe(0);
    });

    test('[ST2] what comes before the first page is read backwards too', async () => {
      await storage.deleteAll();
      const store = openSql(storage, { ...DEFAULT_BOUNDS, slots: 2, pageBytesMax: 30, pageBytesCut: 30 }).room(ROOM);
      const value = new Uint8Array(20);
      await write(store, [
        ['meta', 1, value],
        ['meta', 2, value],
        ['meta', 3, value],
      ]);
      // The second commit takes them into pages, the fourth takes the first page away again.
      for (const n of [2, 3, 1]) await write(store, [['meta', n, n === 1 ? undefined : value]]);
      await write(store, [['meta', 0, value]]);
      expect((await everything(store)).map(([, key]) => key)).toEqual([0, 2, 3]);
    });

    test('any writes are read again by another instance, wherever the first one ended', async () => {
      const boundsOf = fc.record({
        slots: fc.integer({ min: 1, max: 5 }),
        commitBytesMax: fc.constantFrom(20, 100, 1_000),
        recentBytesMax: fc.constantFrom(50, 300),
        pageBytesMax: fc.constantFrom(60, 200),
        pageBytesCut: fc.constantFrom(30, 60),
        cacheBytesMax: fc.constantFrom(0, 500),
        inlineBytesMax: fc.constantFrom(4, 20),
        pieceBytes: fc.constantFrom(3, 50),
      });
      const writeOf = fc.tuple(
        fc.constantFrom<Table>('meta', 'deltas', 'log'),
        fc.nat(12),
        fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined, freq: 1 }),
      );
      const historyOf = fc.array(fc.oneof(fc.array(writeOf, { maxLength: 8 }), fc.constant('reopen' as const)), {
        maxLength: 30,
      });
      await fc.assert(
        fc.asyncProperty(boundsOf, historyOf, async (bounds: SqlBounds, history) => {
          await storage.deleteAll();
          const reference = new MemoryStore();
          let store = openSql(storage, bounds).room(ROOM);
          for (const step of history) {
            if (step === 'reopen') store = openSql(storage, bounds).room(ROOM);
            else for (const each of [store, reference]) await write(each, step);
            expect(await everything(store)).toEqual(await everything(reference));
          }
        }),
        { numRuns: 300 },
      );
    });
  });
}

/** As a delta is: a row of the log, two in the middle of others, three that change every time. */
async function commit(store: Store, n: number): Promise<void> {
  const value = new Uint8Array(100).fill(n);
  const author = n % 10;
  await write(store, [
    ['log', n, value],
    ['deltas', author * 1e9 + n, value],
    ['dots', author * 1e9 + n, value],
    ...([0, 1, 2] as const).map((of): Change => ['meta', of, u64ToBytes(n)]),
  ]);
}

type Change = readonly [table: Table, key: number, value: Uint8Array | undefined];

async function write(store: Store, changes: readonly Change[]): Promise<void> {
  const plan: Plan<void> = function* (tx) {
    for (const [table, key, value] of changes) {
      if (value === undefined) tx.delete(table, u64ToBytes(key));
      else tx.put(table, u64ToBytes(key), value);
    }
  };
  await store.transact(plan, { mode: 'write', durability: 'relaxed' });
}

async function everything(store: Store): Promise<readonly (readonly [Table, number, Uint8Array])[]> {
  const all: (readonly [Table, number, Uint8Array])[] = [];
  for (const table of TABLES) {
    const rows: readonly Row[] = await store.transact((tx) => tx.rows(table, EVERYTHING), { mode: 'read' });
    const backwards = await store.transact((tx) => tx.keys(table, { ...EVERYTHING, reverse: true }), { mode: 'read' });
    expect(backwards.toReversed()).toEqual(rows.map(([key]) => key));
    all.push(...rows.map(([key, value]) => [table, bytesToU64(key), value] as const));
  }
  return all;
}
