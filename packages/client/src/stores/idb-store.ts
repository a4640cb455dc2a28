import { idToBytes, MangroveError, RoomHandle, type RoomId, type Store } from '@mangrove/protocol';
import type { Database, DatabaseHooks, StoredIdentity } from './database.js';
import { deleteDatabase, IDENTITIES, openDatabase, siteDatabases, toMangroveError } from './idb-open.js';
import { failureOf, unavailable } from './places.js';
import { IdbFailure, readValue, runInTransaction, writeValue } from './idb-transaction.js';

/**
 * Opens the database, and makes it when there is none. Rejects with `STORAGE_UNAVAILABLE` where site data are denied, the
 * database is broken, or another tab holds an older version open for more than five seconds.
 */
export async function openIdbDatabase(
  name: string,
  hooks: DatabaseHooks,
  factory: IDBFactory | undefined = siteDatabases(),
): Promise<IdbDatabase> {
  if (factory === undefined) throw unavailable('denied', 'this browser gives no IndexedDB here');
  const database = new IdbDatabase(name, hooks, factory);
  await database.open();
  return database;
}

/** Sixteen bytes of a hash tell rooms apart, and every row pays for them. */
const ROOM_PREFIX_BYTES = 16;
const REOPEN_PAUSE_MS = 250;

/** What is under way when the database is lost has so long to end by itself. */
const OVERDUE_MS = 1_000;

/** One open connection to the database. */
interface Connection {
  readonly db: IDBDatabase;
  readonly isReopened: boolean;
  /** Whether a transaction has gone through. */
  hasServed: boolean;
}

interface Running {
  readonly promise: Promise<unknown>;
  readonly refuse: (reason: MangroveError) => void;
}

interface Waiting {
  readonly turn: number;
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: MangroveError) => void;
}

/** Rooms in IndexedDB. Made by {@link openIdbDatabase}. */
export class IdbDatabase implements Database {
  readonly isPersistent = true;
  #wasDiscarded = false;
  readonly #name: string;
  readonly #hooks: DatabaseHooks;
  readonly #factory: IDBFactory;
  /** Undefined while the database is opened again, and after its end. */
  #connection: Connection | undefined;
  /** Why nothing is accepted any more. */
  #end: MangroveError | undefined;
  readonly #underWay = new Set<Running>();
  #waiting: Waiting[] = [];
  #turns = 0;

  constructor(name: string, hooks: DatabaseHooks, factory: IDBFactory) {
    this.#name = name;
    this.#hooks = hooks;
    this.#factory = factory;
  }

  get wasDiscarded(): boolean {
    return this.#wasDiscarded;
  }

  /** Called once, by {@link openIdbDatabase}. */
  async open(): Promise<void> {
    this.#connection = await this.#connect(false);
  }

  room(roomId: RoomId): Store {
    const prefix = idToBytes(roomId).subarray(0, ROOM_PREFIX_BYTES);
    return new RoomHandle((plan, options) => this.#run((db) => runInTransaction(db, prefix, plan, options)));
  }

  async readIdentity(roomId: RoomId): Promise<StoredIdentity | undefined> {
    return (await this.#run((db) => readValue(db, IDENTITIES, roomId))) as StoredIdentity | undefined;
  }

  async writeIdentity(roomId: RoomId, identity: StoredIdentity): Promise<void> {
    await this.#run((db) => writeValue(db, IDENTITIES, roomId, identity));
  }

  async deleteAll(): Promise<void> {
    await this.close();
    await deleteDatabase(this.#name, this.#factory);
  }

  async close(): Promise<void> {
    this.#end ??= new MangroveError('CLOSED', { what: 'database' });
    await Promise.allSettled([...this.#underWay].map(({ promise }) => promise));
    this.#connection?.db.close();
    this.#connection = undefined;
  }

  async #run<Result>(transact: (db: IDBDatabase) => Promise<Result>): Promise<Result> {
    if (this.#end !== undefined) throw this.#end;
    let refuse = (_: MangroveError): void => {};
    const promise = new Promise<Result>((resolve, reject) => {
      refuse = reject;
      this.#runTwiceAtMost(transact, this.#turns++).then(resolve, reject);
    });
    const running = { promise, refuse };
    this.#underWay.add(running);
    try {
      return await promise;
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
      if (error instanceof IdbFailure && isMalformed(error.cause)) this.#lose(toMangroveError(error.cause));
      else if (error instanceof IdbFailure && isLoss(error.cause)) this.#drop(connection, error.cause);
      else if (failureOf(error) === 'broken') this.#lose(error as MangroveError);
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
    setTimeout(() => this.#refuseOverdue(reason), OVERDUE_MS);
  }

  /** A browser that has taken a database away owes an answer to what it had begun there, and may not give it. */
  #refuseOverdue(reason: MangroveError): void {
    for (const { refuse } of this.#underWay) refuse(reason);
  }

  async #connect(isReopened: boolean): Promise<Connection> {
    let connection: Connection | undefined;
    const db = await openDatabase(this.#factory, this.#name, {
      mayCreate: !isReopened,
      blocking: (next) =>
        this.#lose(
          next === null
            ? unavailable('deleted', 'its data are being deleted')
            : unavailable('newer', 'another tab has a newer version'),
        ),
      discarded: () => {
        this.#wasDiscarded = true;
      },
      terminated: () => connection && this.#drop(connection, new DOMException('the connection was lost', 'AbortError')),
    });
    connection = { db, isReopened, hasServed: false };
    return connection;
  }
}

/** What Chromium says of a database of SQLite in which it comes upon damage. Another connection would open, and come upon it again. */
function isMalformed(cause: unknown): boolean {
  return cause instanceof DOMException && cause.message.includes('malformed');
}

/** Whether the connection is of no further use, whatever one asks it. */
function isLoss(cause: unknown): boolean {
  return cause instanceof DOMException && ['InvalidStateError', 'UnknownError', 'AbortError'].includes(cause.name);
}
