import { deleteDB, type IDBPDatabase, openDB, unwrap } from 'idb';
import {
  idToBytes,
  MangroveError,
  type Plan,
  type RoomId,
  type Store,
  TABLES,
  type TransactOptions,
} from '@mangrove/protocol';
import type { Database, DatabaseHooks, StoredIdentity } from './database.js';
import { IdbFailure, readValue, runInTransaction, writeValue } from './idb-transaction.js';

/**
 * Opens the database, and makes it when there is none. Rejects with `STORAGE_UNAVAILABLE` where site data are denied, the
 * database is broken, or another tab holds an older version open for more than five seconds.
 */
export async function openIdbDatabase(name: string, hooks: DatabaseHooks): Promise<IdbDatabase> {
  const database = new IdbDatabase(name, hooks);
  await database.open();
  return database;
}

/** History: 1, one object store a table, and the identities; 2, `vouched` and `incoming`; 3, `tombstones`, `floors` and `trash`. A further table asks for the next number. */
const VERSION = 3;
const IDENTITIES = 'identities';
/** Sixteen bytes of a hash tell rooms apart, and every row pays for them. */
const ROOM_PREFIX_BYTES = 16;
const BLOCKED_MS_MAX = 5_000;
const REOPEN_PAUSE_MS = 250;

/** One open connection to the database. */
interface Connection {
  readonly db: IDBDatabase;
  readonly isReopened: boolean;
  /** Whether a transaction has gone through. */
  hasServed: boolean;
}

interface Waiting {
  readonly turn: number;
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: MangroveError) => void;
}

/** Rooms in IndexedDB. Made by {@link openIdbDatabase}. */
export class IdbDatabase implements Database {
  readonly isPersistent = true;
  readonly #name: string;
  readonly #hooks: DatabaseHooks;
  /** Undefined while the database is opened again, and after its end. */
  #connection: Connection | undefined;
  /** Why nothing is accepted any more. */
  #end: MangroveError | undefined;
  readonly #underWay = new Set<Promise<unknown>>();
  #waiting: Waiting[] = [];
  #turns = 0;

  constructor(name: string, hooks: DatabaseHooks) {
    this.#name = name;
    this.#hooks = hooks;
  }

  /** Called once, by {@link openIdbDatabase}. */
  async open(): Promise<void> {
    this.#connection = await this.#connect(false);
  }

  room(roomId: RoomId): Store {
    const prefix = idToBytes(roomId).subarray(0, ROOM_PREFIX_BYTES);
    return new IdbStore((plan, options) => this.#run((db) => runInTransaction(db, prefix, plan, options)));
  }

  async readIdentity(roomId: RoomId): Promise<StoredIdentity | undefined> {
    return (await this.#run((db) => readValue(db, IDENTITIES, roomId))) as StoredIdentity | undefined;
  }

  async writeIdentity(roomId: RoomId, identity: StoredIdentity): Promise<void> {
    await this.#run((db) => writeValue(db, IDENTITIES, roomId, identity));
  }

  async deleteAll(): Promise<void> {
    await this.close();
    const reason = 'another tab keeps the database from being deleted';
    await orBlocked(reason, async (blocked) => {
      await deleteDB(this.#name, { blocked });
      return undefined;
    });
  }

  async close(): Promise<void> {
    this.#end ??= new MangroveError('CLOSED', { what: 'database' });
    await Promise.allSettled(this.#underWay);
    this.#connection?.db.close();
    this.#connection = undefined;
  }

  async #run<Result>(transact: (db: IDBDatabase) => Promise<Result>): Promise<Result> {
    if (this.#end !== undefined) throw this.#end;
    const running = this.#runTwiceAtMost(transact, this.#turns++);
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }

  /**
   * A connection that was lost stays dead, however often one asks it, and WebKit loses them. So it is dropped and a new one
   * opened; a transaction that certainly wrote nothing runs there once more. All others reject, and their caller decides.
   */
  async #runTwiceAtMost<Result>(transact: (db: IDBDatabase) => Promise<Result>, turn: number): Promise<Result> {
    try {
      return await this.#runOnce(transact, turn);
    } catch (error) {
      if (!(error instanceof IdbFailure)) throw error;
      if (!isLoss(error.cause) || !error.wroteNothing) throw toMangroveError(error.cause);
    }
    try {
      return await this.#runOnce(transact, turn);
    } catch (error) {
      throw error instanceof IdbFailure ? toMangroveError(error.cause) : error;
    }
  }

  async #runOnce<Result>(transact: (db: IDBDatabase) => Promise<Result>, turn: number): Promise<Result> {
    const connection = await this.#acquire(turn);
    try {
      const result = await transact(connection.db);
      connection.hasServed = true;
      return result;
    } catch (error) {
      if (error instanceof IdbFailure && isLoss(error.cause)) this.#drop(connection, error.cause);
      throw error;
    }
  }

  #acquire(turn: number): Promise<Connection> {
    const connection = this.#connection;
    if (connection !== undefined) return Promise.resolve(connection);
    return new Promise((resolve, reject) => {
      // After its end the database is not opened again, so there is nothing to wait for.
      if (this.#isLost()) reject(this.#end as MangroveError);
      else this.#waiting.push({ turn, resolve, reject });
    });
  }

  #drop(connection: Connection, cause: unknown): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    connection.db.close();
    // A fresh connection that is lost before it was of any use would be so again: no loop on a dead database.
    if (connection.isReopened && !connection.hasServed) this.#lose(toMangroveError(cause));
    else void this.#reopen();
  }

  async #reopen(): Promise<void> {
    try {
      const connection = await this.#connectPatiently();
      if (this.#end !== undefined && this.#waiting.length === 0) return connection.db.close();
      this.#connection = connection;
      // Transactions notice a loss at different moments; they go on in the order in which they were started.
      const waiting = this.#waiting.sort((a, b) => a.turn - b.turn);
      this.#waiting = [];
      for (const { resolve } of waiting) resolve(connection);
    } catch (error) {
      this.#lose(toMangroveError(error));
    }
  }

  /** What took the connection, such as the clearing of site data, may still be at work and take the next one too. */
  async #connectPatiently(): Promise<Connection> {
    try {
      return await this.#connect(true);
    } catch (error) {
      if (!(error instanceof MangroveError) || !isLoss(error.cause)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, REOPEN_PAUSE_MS));
    return await this.#connect(true);
  }

  #isLost(): boolean {
    return this.#end !== undefined && this.#end.code !== 'CLOSED';
  }

  /** The end that nobody asked for. */
  #lose(reason: MangroveError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(reason);
    this.#connection?.db.close();
    this.#connection = undefined;
    if (this.#end !== undefined) return;
    this.#end = reason;
    this.#hooks.onClosed(reason);
  }

  async #connect(isReopened: boolean): Promise<Connection> {
    let connection: Connection | undefined;
    let isCleared = false;
    const opened = await orBlocked('another tab holds an older version of the database open', (blocked) =>
      openDB(this.#name, VERSION, {
        blocked,
        upgrade(db, oldVersion, _newVersion, tx) {
          // It rejects together with the opening, where the reason is seen to.
          tx.done.catch(() => {});
          // A database that was there a moment ago was deleted. Made anew it would pass for a new user's, so it is not made.
          isCleared = isReopened && oldVersion === 0;
          if (isCleared) tx.abort();
          else createTables(db);
        },
        blocking: (_version, next) =>
          this.#lose(unavailable(next === null ? 'its data are being deleted' : 'another tab has a newer version')),
        terminated: () =>
          connection && this.#drop(connection, new DOMException('the connection was lost', 'AbortError')),
      }),
    ).catch((error: unknown) => {
      throw isCleared ? unavailable('its data were deleted') : error;
    });
    connection = { db: unwrap(opened), isReopened, hasServed: false };
    return connection;
  }
}

class IdbStore implements Store {
  readonly #run: Store['transact'];
  #isClosed = false;

  constructor(run: Store['transact']) {
    this.#run = run;
  }

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    if (this.#isClosed) throw new MangroveError('CLOSED', { what: 'store' });
    return await this.#run(plan, options);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

function createTables(db: IDBPDatabase): void {
  for (const table of [...TABLES, IDENTITIES]) {
    if (!db.objectStoreNames.contains(table)) db.createObjectStore(table);
  }
}

/** A blocked request waits for other tabs without an end; after a while the user had better know. */
async function orBlocked<Result extends { close(): void } | undefined>(
  reason: string,
  request: (blocked: () => void) => Promise<Result>,
): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let giveUp: (error: MangroveError) => void = () => {};
  const blocked = new Promise<never>((_, reject) => (giveUp = reject));
  const settled = request(() => {
    timer = setTimeout(() => giveUp(unavailable(reason)), BLOCKED_MS_MAX);
  });
  try {
    return await Promise.race([settled, blocked]);
  } catch (error) {
    // A database that opens after all must not hold up the tabs that wait for it.
    settled.then((db) => db?.close()).catch(() => {});
    throw toMangroveError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the connection is of no further use, whatever one asks it. */
function isLoss(cause: unknown): boolean {
  return cause instanceof DOMException && ['InvalidStateError', 'UnknownError', 'AbortError'].includes(cause.name);
}

function toMangroveError(cause: unknown): MangroveError {
  if (cause instanceof MangroveError) return cause;
  if (cause instanceof Error && cause.name === 'QuotaExceededError')
    return new MangroveError('STORAGE_FULL', {}, { cause });
  return unavailable(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause), cause);
}

function unavailable(reason: string, cause?: unknown): MangroveError {
  return new MangroveError('STORAGE_UNAVAILABLE', { reason }, { cause });
}
