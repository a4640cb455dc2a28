import { statfsSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
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
  utf8ToBytes,
  type Write,
} from '@mangrove/protocol';
import { type Database, open, type RangeOptions, type RootDatabase } from 'lmdb';
import type { Environment } from './environment.js';
import { faultOfLmdbFile } from './lmdb-header.js';

/** All rooms of a relay in one directory on a local disk. LMDB maps its file, so network file systems are out. */
export interface LmdbEnvironment extends Environment {
  readonly path: string;
  /** Writes all of it into another folder, which is there and empty, without the pages that are free. */
  copyTo(folder: string): Promise<void>;
}

/**
 * Opens the directory, and makes it when there is none. Throws `STORAGE_UNAVAILABLE` when it cannot be written, or holds
 * something else than an intact database of this version.
 */
export function openLmdb(path: string): LmdbEnvironment {
  try {
    const fault = faultOfLmdbFile(join(path, DATA_FILE));
    if (fault !== undefined) throw new Error(fault);
    return new OpenLmdb(
      path,
      open<Uint8Array, Uint8Array>(path, {
        ...BINARY,
        noSubdir: false,
        // A commit that is visible is on disk then. With overlapping syncs it would be visible before, and what a plan or a
        // peer had read could be gone after a power cut. Measured, it is no slower: what waits for a sync shares the next.
        overlappingSync: false,
        // With it the library makes a promise of its own for every batch, which nobody hears: a full disk would then end
        // the process by an unhandled rejection. Plans share their commits without it.
        eventTurnBatching: false,
      }),
    );
  } catch (error) {
    throw toMangroveError(error, path);
  }
}

type Binary = RootDatabase<Uint8Array, Uint8Array>;
type Rows = Database<Uint8Array, Uint8Array>;

const DATA_FILE = 'data.mdb';
const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;
/** Sixteen bytes of a hash tell rooms apart, and every row pays for them. */
const ROOM_PREFIX_BYTES = 16;
const PREFIX_BYTES = ROOM_PREFIX_BYTES + 1;
/** What LMDB takes with pages of 4,096 bytes. */
const KEY_BYTES_MAX = 1_978;
const BYTES_OF_A_FULL_DISK = 1_048_576;
const NOTHING = new Uint8Array();

class OpenLmdb implements LmdbEnvironment {
  readonly path: string;
  readonly #rows: Rows;
  /** Room id → nothing: which rooms there are, without a walk over all rows. */
  readonly #rooms: Rows;
  readonly #meta: Rows;
  readonly #root: Binary;
  readonly #registered = new Set<RoomId>();
  /** By room, the newest write that is under way. */
  readonly #writing = new Map<RoomId, Promise<unknown>>();
  readonly #underWay = new Set<Promise<unknown>>();
  /** The file that was opened; a database goes on working in one that has lost its name. */
  readonly #inode: number;
  #isClosed = false;

  constructor(path: string, root: Binary) {
    this.path = path;
    this.#inode = inodeOf(path);
    this.#root = root;
    this.#rows = root.openDB('rows', BINARY);
    this.#rooms = root.openDB('rooms', BINARY);
    this.#meta = root.openDB('meta', BINARY);
  }

  room(roomId: RoomId): Store {
    return new RoomHandle((plan, options) => this.#track(() => this.#transact(roomId, plan, options)));
  }

  rooms(): readonly RoomId[] {
    this.#assertOpen();
    return Array.from(this.#rooms.getKeys(), bytesToRoomId);
  }

  async getMeta(name: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    this.#assertInPlace();
    return getRow(this.#meta, utf8ToBytes(name));
  }

  putMeta(name: string, value: Uint8Array): Promise<void> {
    return this.#track(() => this.#commit(() => void this.#meta.put(utf8ToBytes(name), value)));
  }

  copyTo(folder: string): Promise<void> {
    return this.#track(() => this.#root.backup(folder, true));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
    await this.#root.close();
  }

  async #track<Result>(run: () => Promise<Result>): Promise<Result> {
    this.#assertOpen();
    const running = run();
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }

  /** What is written after the folder was deleted or replaced is found by nobody: nothing may be acknowledged then. */
  #assertInPlace(): void {
    if (inodeOf(this.path) === this.#inode) return;
    throw new MangroveError('STORAGE_UNAVAILABLE', {
      reason: `${this.path} was deleted or replaced while it was in use`,
    });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MangroveError('CLOSED', { what: 'storage' });
  }

  /**
   * LMDB has one writer, so plans run one after the other in the order they were started, whatever their room. All that wait
   * while a commit is on its way to the disk run in the next one: each sees the writes of those before it, and all share
   * its sync. `relaxed` asks for less than that and costs the same.
   */
  async #transact<Result>(roomId: RoomId, plan: Plan<Result>, { mode }: TransactOptions): Promise<Result> {
    const prefix = idToBytes(roomId).subarray(0, ROOM_PREFIX_BYTES);
    let wrote = false;
    const run = (): Result => {
      const { result, writes } = runPlan(plan, (read) => this.#answer(prefix, read));
      assert(mode === 'write' || writes.length === 0, () => `a read plan wrote ${writes.length} rows`);
      this.#apply(roomId, prefix, writes);
      wrote = writes.length > 0;
      return result;
    };
    if (mode === 'write') {
      const result = await this.#writeInOrder(roomId, () => this.#commit(run));
      if (wrote) this.#registered.add(roomId);
      return result;
    }
    // A read takes its place between the room's writes. Without any it needs no transaction: it happens in this one turn,
    // during which the snapshot stays the same.
    if (!this.#writing.has(roomId)) return run();
    try {
      return await this.#commit(run);
    } catch (error) {
      // The writes around it found no room on the disk; what was there before can be read all the same.
      if (isMangroveError(error) && error.code === 'STORAGE_FULL') return run();
      throw error;
    }
  }

  async #writeInOrder<Result>(roomId: RoomId, commit: () => Promise<Result>): Promise<Result> {
    const writing = commit();
    this.#writing.set(roomId, writing);
    try {
      return await writing;
    } finally {
      if (this.#writing.get(roomId) === writing) this.#writing.delete(roomId);
    }
  }

  /**
   * Resolves when what `run` wrote is on disk, and rejects with what it threw. A child transaction takes back the writes of
   * this `run` alone when it throws, and leaves the others of the same commit.
   */
  async #commit<Result>(run: () => Result): Promise<Result> {
    try {
      // The box keeps a result that happens to be a promise, or the value that means abort, from being taken for one.
      const box = await this.#root.childTransaction(() => ({ result: run() }));
      this.#assertInPlace();
      return box.result;
    } catch (error) {
      throw isCommitFailure(error) ? toMangroveError(await causeOf(error), this.path) : error;
    }
  }

  #answer(prefix: Uint8Array, read: Read): ReadResult {
    try {
      if (read.kind === 'get') return getRow(this.#rows, rowKey(prefix, read.table, read.key));
      const range = rowRange(prefix, read);
      if (range === undefined) return [];
      if (read.kind === 'keys') return Array.from(this.#rows.getKeys(range), planKey);
      return Array.from(this.#rows.getRange(range), ({ key, value }): Row => [planKey(key), plain(value)]);
    } catch (error) {
      throw toMangroveError(error, this.path);
    }
  }

  #apply(roomId: RoomId, prefix: Uint8Array, writes: readonly Write[]): void {
    if (writes.length === 0) return;
    for (const { key } of writes) {
      assert(key.length <= KEY_BYTES_MAX - PREFIX_BYTES, () => `a key of ${key.length} bytes`);
    }
    try {
      if (!this.#registered.has(roomId)) void this.#rooms.put(idToBytes(roomId), NOTHING);
      for (const write of writes) {
        const key = rowKey(prefix, write.table, write.key);
        void (write.kind === 'put' ? this.#rows.put(key, write.value) : this.#rows.remove(key));
      }
    } catch (error) {
      throw toMangroveError(error, this.path);
    }
  }
}

/** 0 where there is no file. */
function inodeOf(path: string): number {
  return statSync(join(path, DATA_FILE), { throwIfNoEntry: false })?.ino ?? 0;
}

function rowKey(prefix: Uint8Array, table: Table, key: Uint8Array): Uint8Array {
  return concatBytes(prefix, Uint8Array.of(TABLES.indexOf(table)), key);
}

/** Undefined when no row can lie within. */
function rowRange(
  prefix: Uint8Array,
  { table, from, to, limit, reverse }: Read & { kind: 'rows' | 'keys' },
): RangeOptions | undefined {
  const lower = rowKey(prefix, table, from);
  const upper =
    to === undefined ? concatBytes(prefix, Uint8Array.of(TABLES.indexOf(table) + 1)) : rowKey(prefix, table, to);
  if (compareBytes(lower, upper) >= 0) return undefined;
  const bounds = reverse
    ? { start: upper, exclusiveStart: true, end: lower, inclusiveEnd: true, reverse: true }
    : { start: lower, end: upper };
  return limit === undefined ? bounds : { ...bounds, limit };
}

function planKey(key: Uint8Array): Uint8Array {
  return plain(key.subarray(PREFIX_BYTES));
}

/**
 * The value is copied out at once: lmdb reads into one buffer again and again, whose `length` is the value's while its
 * `byteLength` is its own.
 */
function getRow(rows: Rows, key: Uint8Array): Uint8Array | undefined {
  const value = rows.getBinaryFast(key);
  return value === undefined ? undefined : plain(value);
}

/** A Node `Buffer` slices without copying, so it must not pass for a plain array. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length).slice();
}

/** lmdb rejects every transaction of a failed commit with an error that promises the reason. */
interface CommitFailure extends Error {
  readonly commitError: Promise<unknown>;
}

function isCommitFailure(error: unknown): error is CommitFailure {
  return error instanceof Error && 'commitError' in error;
}

async function causeOf(failure: CommitFailure): Promise<unknown> {
  try {
    return await failure.commitError;
  } catch (cause) {
    return cause;
  }
}

function toMangroveError(cause: unknown, path: string): MangroveError {
  if (isMangroveError(cause)) return cause;
  if (isDiskFull(cause, path)) return new MangroveError('STORAGE_FULL', {}, { cause });
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MangroveError('STORAGE_UNAVAILABLE', { reason: `${path}: ${reason}` }, { cause });
}

/** LMDB reports a write that the disk took only a part of as an input/output error, so the disk itself is asked. */
function isDiskFull(cause: unknown, path: string): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === constants.errno.ENOSPC || code === constants.errno.EDQUOT) return true;
  if (code !== constants.errno.EIO) return false;
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize < BYTES_OF_A_FULL_DISK;
  } catch {
    return false;
  }
}
