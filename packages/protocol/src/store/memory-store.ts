import { bytesToHex, compareBytes } from '../bytes.js';
import { MangroveError } from '../errors.js';
import { runPlan, type Plan, type Read, type ReadResult, type Row, type Write } from './plan.js';
import type { Store, TransactOptions } from './store.js';
import { TABLES, type Table } from './table.js';

/** Rows of one table in key order. Insertion is a binary search and a splice: small tables, test worlds. */
export class MemoryTable {
  readonly #rows: Row[] = [];

  get(key: Uint8Array): Uint8Array | undefined {
    const row = this.#rows[this.#lowerBound(key)];
    return row !== undefined && compareBytes(row[0], key) === 0 ? row[1] : undefined;
  }

  rows(range: Omit<Extract<Read, { kind: 'rows' | 'keys' }>, 'kind' | 'table'>): readonly Row[] {
    const start = this.#lowerBound(range.from);
    const end = range.to === undefined ? this.#rows.length : Math.max(start, this.#lowerBound(range.to));
    const limit = range.limit ?? Number.POSITIVE_INFINITY;
    if (!range.reverse) return this.#rows.slice(start, Math.min(end, start + limit));
    return this.#rows.slice(Math.max(start, end - limit), end).reverse();
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const index = this.#lowerBound(key);
    const row = this.#rows[index];
    const replaces = row !== undefined && compareBytes(row[0], key) === 0;
    this.#rows.splice(index, replaces ? 1 : 0, [key, value]);
  }

  delete(key: Uint8Array): void {
    const index = this.#lowerBound(key);
    const row = this.#rows[index];
    if (row !== undefined && compareBytes(row[0], key) === 0) this.#rows.splice(index, 1);
  }

  get size(): number {
    return this.#rows.length;
  }

  #lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes((this.#rows[middle] as Row)[0], key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const OF_THE_SET: ReadonlySet<Table> = new Set(['deltas', 'nodes', 'vector']);

/** The tables of one room in memory: the reference for every other store, and what the simulator runs on. */
export class MemoryTables {
  readonly #tables = new Map<Table, MemoryTable>(TABLES.map((table) => [table, new MemoryTable()]));
  #setChanges = 0;

  /** Rises when the set, its index or its vector may have changed: for those who look at it from outside. */
  get setChanges(): number {
    return this.#setChanges;
  }

  table(table: Table): MemoryTable {
    return this.#tables.get(table) as MemoryTable;
  }

  /** Runs a plan at once; its writes are applied together at its end. */
  transact<Result>(plan: Plan<Result>): { readonly result: Result; readonly writes: readonly Write[] } {
    const outcome = runPlan(plan, (read) => this.read(read));
    this.apply(outcome.writes);
    return outcome;
  }

  read(read: Read): ReadResult {
    const table = this.table(read.table);
    switch (read.kind) {
      case 'get':
        return table.get(read.key);
      case 'rows':
        return table.rows(read);
      case 'keys':
        return table.rows(read).map(([key]) => key);
    }
  }

  apply(writes: readonly Write[]): void {
    for (const write of writes) {
      if (OF_THE_SET.has(write.table)) this.#setChanges++;
      if (write.kind === 'put') this.table(write.table).put(write.key, write.value);
      else this.table(write.table).delete(write.key);
    }
  }

  clone(): MemoryTables {
    const copy = new MemoryTables();
    for (const name of TABLES) {
      for (const [key, value] of this.table(name).rows({ from: new Uint8Array() })) copy.table(name).put(key, value);
    }
    return copy;
  }

  /** All rows as text, for comparing two stores in tests. */
  dump(): readonly string[] {
    return TABLES.flatMap((name) =>
      this.table(name)
        .rows({ from: new Uint8Array() })
        .map(([key, value]) => `${name} ${bytesToHex(key)} ${bytesToHex(value)}`),
    );
  }
}

/** A store that lives as long as the process: for tests, and for a browser that denies storage. */
export class MemoryStore implements Store {
  readonly tables = new MemoryTables();
  #closed = false;

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    if (this.#closed) throw new MangroveError('CLOSED', { what: 'store' });
    const outcome = runPlan(plan, (read) => this.tables.read(read));
    if (options.mode === 'read' && outcome.writes.length > 0) throw new Error('assertion failed: a read plan wrote');
    this.tables.apply(outcome.writes);
    return outcome.result;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}
