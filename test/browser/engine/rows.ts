import { MemoryStore, TABLES } from '@mangrove/protocol';

/** All rows of a browser's database, whichever table they are in. */
export type Rows = ReadonlyMap<string, readonly (readonly [IDBValidKey, unknown])[]>;

export const rowsOf = (database: string): Promise<Rows> =>
  within(database, async (db) => {
    const rows = new Map<string, (readonly [IDBValidKey, unknown])[]>();
    for (const table of db.objectStoreNames) {
      const store = db.transaction(table).objectStore(table);
      const [keys, values] = await Promise.all([done(store.getAllKeys()), done<unknown[]>(store.getAll())]);
      rows.set(
        table,
        keys.map((key, i) => [key, values[i]] as const),
      );
    }
    return rows;
  });

export const writeRows = (database: string, rows: Rows): Promise<void> =>
  within(database, async (db) => {
    for (const [table, all] of rows) {
      const store = db.transaction(table, 'readwrite').objectStore(table);
      await done(store.clear());
      for (const [key, value] of all) await done(store.put(value, key));
    }
  });

export const writeRow = (database: string, table: string, key: IDBValidKey, value: unknown): Promise<void> =>
  within(database, async (db) => {
    await done(db.transaction(table, 'readwrite').objectStore(table).put(value, key));
  });

export function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const name of TABLES)
    for (const [key, value] of store.tables.table(name).rows({ from: new Uint8Array() }))
      copy.tables.table(name).put(key, value);
  return copy;
}

async function within<Result>(database: string, use: (db: IDBDatabase) => Promise<Result>): Promise<Result> {
  const db = await done(indexedDB.open(database));
  try {
    return await use(db);
  } finally {
    db.close();
  }
}

const done = <Result>(request: IDBRequest<Result>): Promise<Result> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
