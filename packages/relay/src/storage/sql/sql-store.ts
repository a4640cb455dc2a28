import {
  assert,
  bytesToRoomId,
  compareBytes,
  concatBytes,
  idToBytes,
  isMangroveError,
  MangroveError,
  type Plan,
  type Read,
  type ReadResult,
  RoomHandle,
  type Row,
  type RoomId,
  runPlan,
  type Store,
  type Table,
  TABLES,
  type TransactOptions,
  type Write,
} from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import { DEFAULT_BOUNDS, type SqlBounds } from './bounds.js';
import { type Entry, type Held, isLarge, mergeEntries, placeOf } from './packed-rows.js';
import { type Page, Pages } from './pages.js';
import { Pieces } from './pieces.js';
import { Recent } from './recent.js';
import { blobOf, type RowCount, type SqlDatabase, Statements } from './sql-database.js';

/** One room in the SQLite database of one Durable Object. */
export interface SqlEnvironment extends Environment {
  readonly rows: Readonly<RowCount>;
}

/** Tables whose values are always small: what they say of a key before need not be looked up to write it. */
const SMALL: ReadonlySet<Table> = new Set(['log', 'dots', 'nodes', 'vector', 'certificates', 'tombstones']);
const ROOM = 'room';

/** Writes nothing before the first write: anybody can make up the name of an object. */
export function openSql(database: SqlDatabase, bounds: SqlBounds = DEFAULT_BOUNDS): SqlEnvironment {
  return new OpenSql(database, bounds);
}

class OpenSql implements SqlEnvironment {
  readonly #statements: Statements;
  readonly #recent: Recent;
  readonly #pages: Pages;
  readonly #pieces: Pieces;
  readonly #inlineBytesMax: number;
  #roomId: RoomId | undefined;
  #isCreated: boolean;
  #isClosed = false;

  constructor(database: SqlDatabase, bounds: SqlBounds) {
    this.#inlineBytesMax = bounds.inlineBytesMax;
    this.#statements = new Statements(database);
    this.#recent = new Recent(this.#statements, bounds);
    this.#pages = new Pages(this.#statements, bounds);
    this.#pieces = new Pieces(this.#statements, bounds);
    this.#isCreated = this.#statements.run("SELECT 1 FROM sqlite_master WHERE name = 'settings'").length > 0;
    if (!this.#isCreated) return;
    this.#recent.load();
    const room = this.#setting(ROOM);
    this.#roomId = room && bytesToRoomId(room);
  }

  get rows(): Readonly<RowCount> {
    return this.#statements.count;
  }

  room(roomId: RoomId): Store {
    assert(this.#roomId === undefined || this.#roomId === roomId, () => 'an object has one room');
    return new RoomHandle((plan, options) => this.#transact(roomId, plan, options));
  }

  rooms(): readonly RoomId[] {
    return this.#roomId === undefined ? [] : [this.#roomId];
  }

  async getMeta(name: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    return this.#isCreated ? this.#guarded(() => this.#setting(`meta ${name}`)) : undefined;
  }

  async putMeta(name: string, value: Uint8Array): Promise<void> {
    this.#assertOpen();
    this.#write(() => this.#putSetting(`meta ${name}`, value));
    await this.#durable();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  /** SQLite answers at once, so plans run one after the other in the order they were started, reads among them. */
  async #transact<Result>(roomId: RoomId, plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    this.#assertOpen();
    const { result, writes } = runPlan(plan, (read) => this.#guarded(() => this.#answer(read)));
    assert(options.mode === 'write' || writes.length === 0, () => `a read plan wrote ${writes.length} rows`);
    if (writes.length === 0) return result;
    this.#statements.count.planned += writes.length;
    this.#write(() => {
      if (this.#roomId === undefined) this.#putSetting(ROOM, idToBytes(roomId));
      this.#commit(writes);
    });
    this.#roomId = roomId;
    // Nothing leaves the object before its writes are on disk. Waiting here as well lets what comes meanwhile share the next commit.
    if (options.durability !== 'relaxed') await this.#durable();
    return result;
  }

  #commit(writes: readonly Write[]): void {
    const entries = writes
      .map((write): Entry => {
        const key = entryKey(write.table, write.key);
        if (!SMALL.has(write.table)) this.#pieces.drop(this.#held(key));
        return [key, write.kind === 'put' ? this.#hold(write) : undefined];
      })
      .sort((a, b) => compareBytes(a[0], b[0]));
    if (this.#recent.add(entries) && !this.#recent.isFull) return;
    this.#pages.merge(this.#recent.entries);
    this.#recent.clear();
  }

  #hold({ table, value }: Write & { kind: 'put' }): Held {
    return value.length > this.#inlineBytesMax && !SMALL.has(table) ? this.#pieces.put(value) : value;
  }

  #held(key: Uint8Array): Held | undefined {
    const recent = this.#recent.find(key);
    if (recent !== undefined) return recent[1];
    const { entries } = this.#pages.at(key);
    const entry = entries[placeOf(entries, key)];
    return entry !== undefined && compareBytes(entry[0], key) === 0 ? entry[1] : undefined;
  }

  #valueOf(held: Held): Uint8Array {
    // A view would keep a whole page in memory.
    return isLarge(held) ? this.#pieces.get(held) : held.slice();
  }

  #answer(read: Read): ReadResult {
    if (!this.#isCreated) return read.kind === 'get' ? undefined : [];
    if (read.kind === 'get') {
      const held = this.#held(entryKey(read.table, read.key));
      return held && this.#valueOf(held);
    }
    const entries = this.#range(read);
    const keys = entries.map(([key]) => key.slice(1));
    if (read.kind === 'keys') return keys;
    return entries.map(([, held], i): Row => [keys[i] as Uint8Array, this.#valueOf(held as Held)]);
  }

  #range({ table, from, to, limit = Number.POSITIVE_INFINITY, reverse }: Read & { kind: 'rows' | 'keys' }): Entry[] {
    const low = entryKey(table, from);
    const high = to === undefined ? Uint8Array.of(TABLES.indexOf(table) + 1) : entryKey(table, to);
    const found: Entry[] = [];
    if (compareBytes(low, high) >= 0) return found;
    let page: Page | undefined = this.#pages.at(reverse ? high : low);
    while (page !== undefined && found.length < limit) {
      const start = compareBytes(page.first, low) > 0 ? page.first : low;
      const stop = page.end !== undefined && compareBytes(page.end, high) < 0 ? page.end : high;
      const here = this.#between(page, start, stop);
      found.push(...(reverse ? here.reverse() : here).slice(0, limit - found.length));
      if (reverse) page = compareBytes(page.first, low) > 0 ? this.#pages.before(page) : undefined;
      else page = stop === page.end ? this.#pages.at(page.end) : undefined;
    }
    return found;
  }

  #between({ entries }: Page, start: Uint8Array, stop: Uint8Array): Entry[] {
    if (compareBytes(start, stop) >= 0) return [];
    const { entries: recent } = this.#recent;
    const older = entries.slice(placeOf(entries, start), placeOf(entries, stop));
    const newer = recent.slice(placeOf(recent, start), placeOf(recent, stop));
    return mergeEntries(older, newer).filter(([, held]) => held !== undefined);
  }

  #write(run: () => void): void {
    this.#guarded(() => {
      try {
        this.#statements.database.transactionSync(() => {
          if (!this.#isCreated) this.#create();
          run();
        });
      } catch (error) {
        this.#recover();
        throw error;
      }
    });
    this.#isCreated = true;
  }

  #create(): void {
    this.#statements.run('CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID');
    Recent.create(this.#statements);
    Pages.create(this.#statements);
    Pieces.create(this.#statements);
  }

  /** What is in memory is read again: it may tell of what was taken back. */
  #recover(): void {
    this.#pages.forget();
    this.#pieces.forget();
    if (this.#isCreated) this.#recent.load();
    else this.#recent.reset();
  }

  #setting(name: string): Uint8Array | undefined {
    const [row] = this.#statements.run('SELECT value FROM settings WHERE name = ?', name);
    return row && blobOf(row.value);
  }

  #putSetting(name: string, value: Uint8Array): void {
    this.#statements.run('INSERT OR REPLACE INTO settings VALUES (?, ?)', name, value);
  }

  async #durable(): Promise<void> {
    try {
      await this.#statements.database.sync();
    } catch (error) {
      throw toMangroveError(error);
    }
  }

  #guarded<Result>(run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      throw toMangroveError(error);
    }
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MangroveError('CLOSED', { what: 'storage' });
  }
}

function entryKey(table: Table, key: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(TABLES.indexOf(table)), key);
}

function toMangroveError(cause: unknown): MangroveError {
  if (isMangroveError(cause)) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (/SQLITE_FULL|disk is full/i.test(reason)) return new MangroveError('STORAGE_FULL', {}, { cause });
  return new MangroveError('STORAGE_UNAVAILABLE', { reason }, { cause });
}
