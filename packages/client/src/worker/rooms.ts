import {
  deriveRoomId,
  type ErrorCode,
  errorToFacts,
  HealingStore,
  isMangroveError,
  type Limits,
  MangroveError,
  readOwnReplica,
  type ReplicaId,
  type RoomConfig,
  type RoomRef,
  type Steps,
  type Transaction,
} from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { Database } from '../stores/database.js';
import { type Carried, forgetRescued, readRescued } from './carried.js';
import { Databases, type Opened } from './databases.js';
import type { BorrowedRoom } from './backup/backup-host.js';
import type { RoomListener, RoomOptions } from './engine-api.js';
import { lossOf } from './loss.js';
import { leftFor } from './mender.js';
import { RoomRuntime } from './room-runtime.js';

/** Bound into the room's id; encrypted ones are not built yet. */
const configOf = (history: RoomConfig['history']): RoomConfig => ({ history, encrypted: false });

/** A room that a page has open, whichever runtime it has at the moment. */
interface OpenRoom {
  readonly options: RoomOptions;
  readonly listener: RoomListener;
  isPaused: boolean;
  runtime: Promise<RoomRuntime>;
  /** The database that the runtime is in. */
  opened: Opened | undefined;
}

/** Of a room that no page has open. */
const NOBODY: RoomListener = {
  status: () => {},
  updates: () => {},
  changes: () => {},
  peerPresence: () => {},
  peersGone: () => {},
  presenceWanted: () => {},
  reopened: () => {},
  token: async () => undefined,
};

/** Until the opening has begun. */
const NEVER = new Promise<never>(() => {});

interface Opening {
  /** The identity of before, which another copy of the profile uses. */
  readonly spent?: ReplicaId;
  readonly carried?: Carried | undefined;
  /** What was found lost when it was opened a moment ago. */
  readonly loss?: MangroveError | undefined;
}

/** The open rooms of one client in one tab's worker: opened anew, under the same handle, where identity or database fails. */
export class Rooms {
  readonly #env: Environment;
  readonly #name: string;
  readonly #limits: Limits;
  readonly #rooms = new Map<string, OpenRoom>();
  readonly #databases: Databases;

  constructor(env: Environment, databaseName: string, limits: Limits) {
    this.#env = env;
    this.#name = databaseName;
    this.#limits = limits;
    this.#databases = new Databases(env, databaseName, () => {
      for (const room of this.#rooms.values()) this.#moveRoom(room);
    });
  }

  async open(options: RoomOptions, listener: RoomListener): Promise<RoomRuntime> {
    const room: OpenRoom = { options, listener, isPaused: false, runtime: NEVER, opened: undefined };
    room.runtime = this.#open(room, {});
    this.#rooms.set(options.room, room);
    // A room that could not be opened can be tried again.
    room.runtime.catch(() => {
      if (this.#rooms.get(options.room) === room) this.#rooms.delete(options.room);
    });
    return await room.runtime;
  }

  /** Asks the room's runtime, and the next one where that one ended meanwhile. Rejects with `CLOSED` where there is none. */
  async ask<Answer>(name: string, ask: (runtime: RoomRuntime) => Answer | Promise<Answer>): Promise<Answer> {
    for (;;) {
      const room = this.#rooms.get(name);
      if (room === undefined) throw new MangroveError('CLOSED', { what: 'room' });
      const { runtime } = room;
      try {
        return await ask(await runtime);
      } catch (error) {
        if (room.runtime === runtime || !isEnd(error)) throw error;
      }
    }
  }

  async pause(name: string, isPaused: boolean): Promise<void> {
    const room = this.#rooms.get(name);
    if (room !== undefined) room.isPaused = isPaused;
    await this.ask(name, (runtime) => runtime.pause(isPaused));
  }

  async close(name: string): Promise<void> {
    const room = this.#rooms.get(name);
    this.#rooms.delete(name);
    await (await room?.runtime)?.close();
  }

  /** A room that is not open on this page is opened for as long as it takes, without a network. */
  async borrow(name: string, history: RoomConfig['history'], opening: Opening = {}): Promise<BorrowedRoom> {
    const open = this.#rooms.get(name);
    if (open !== undefined && open.options.history !== history)
      throw new MangroveError('ROOM_CONFIG_MISMATCH', { room: name, history });
    const alone = {
      options: { room: name, relays: [], history },
      listener: NOBODY,
      isPaused: false,
      runtime: NEVER,
      opened: undefined,
    };
    const runtime = await (open?.runtime ?? this.#open(alone, opening));
    const host = runtime.backupHost;
    const release = async (): Promise<void> => (open === undefined ? runtime.close() : undefined);
    const renewed = async (): Promise<BorrowedRoom> => {
      const { replica } = host.options.identity;
      // All tabs open the room anew, this one before it is borrowed again.
      host.tell({ kind: 'identity-spent', replica });
      await release();
      return this.borrow(name, history, { spent: replica });
    };
    return { host, release, renewed };
  }

  async shutDown(deleteData: boolean): Promise<void> {
    await Promise.all([...this.#rooms.keys()].map((name) => this.close(name)));
    await this.#databases.shutDown(deleteData);
  }

  async #open(room: OpenRoom, opening: Opening): Promise<RoomRuntime> {
    const opened = await this.#databases.current();
    try {
      const runtime = await this.#openIn(opened, room, opening);
      room.opened = opened;
      if (room.isPaused) runtime.pause(true);
      return runtime;
    } catch (error) {
      if (!(await this.#databases.failed(opened, error))) throw error;
      return this.#open(room, opening);
    }
  }

  async #openIn(opened: Opened, room: OpenRoom, opening: Opening): Promise<RoomRuntime> {
    const env = this.#env;
    const { database, place, storage } = opened;
    const { options, listener } = room;
    const config = configOf(options.history);
    const roomId = deriveRoomId(env.hash, options.room, config);
    const hadOther = await hasEmptyOther(env, database, options);
    const identity = await env.openIdentity(database, roomId, opening.spent);
    // Where it was opened under the other configuration, the page remembers that one.
    const mark = hadOther ? undefined : options.mark;
    const loss = opening.loss ?? lossOf({ place, isNew: identity.isNew, wasDiscarded: database.wasDiscarded, mark });
    const ref = { hash: env.hash, roomId, history: config.history };
    const rescued = opened.rescued?.room(roomId);
    const leave = (reason: MangroveError): void => void this.#databases.failed(opened, reason);
    const read = (tx: Transaction) => readRescued(tx, ref, identity.replica);
    const carried =
      opening.carried ??
      (await rescued?.transact(read, { mode: 'write' })) ??
      (await this.#salvage(opened, ref, options, identity.replica));
    const runtime = await RoomRuntime.open(
      env,
      {
        ...options,
        config: { room: ref, roomConfig: config, limits: this.#limits },
        identity,
        store: new HealingStore(database.room(roomId), ref, (damage) => {
          const reason = leftFor(undefined, damage);
          leave(reason);
          return reason;
        }),
        storage,
        place,
        isPersistent: database.isPersistent,
        database: place === 'main' ? this.#name : `${place}:${this.#name}`,
        carried,
        leave,
        reopen: (replica) => this.#takeNewIdentity(room, replica),
      },
      listener,
    );
    const { rows = [] } = carried ?? {};
    if (rows.length > 0) await rescued?.transact((tx) => forgetRescued(tx, rows), { mode: 'write' });
    // Another tab may have taken a new identity in the meantime; then this one is opened under it too.
    if ((await env.openIdentity(database, roomId)).replica !== identity.replica) {
      await runtime.close();
      return this.#openIn(opened, room, { loss });
    }
    if (opened.failure !== undefined) runtime.fault(opened.failure);
    if (loss !== undefined) runtime.lost(loss);
    if (carried?.salvaged !== undefined && carried.salvaged.lost !== 0)
      runtime.lost(new MangroveError('STORAGE_LOST', { writes: carried.salvaged.lost }));
    return runtime;
  }

  /**
   * [JS12] What the database before this one holds of a room that was never open there, or not whole, and has never been open here. Without a
   * mark the page knows of nothing that a relay has not: what was salvaged at an earlier visit has been sent.
   */
  async #salvage(
    { database, left }: Opened,
    ref: RoomRef,
    { mark }: RoomOptions,
    heir: ReplicaId,
  ): Promise<Carried | undefined> {
    if (left === undefined || mark === undefined) return undefined;
    if ((await database.room(ref.roomId).transact(readOwnReplica, { mode: 'read' })) !== undefined) return undefined;
    const source = {
      open: () => this.#databases.openLeft(left),
      nowMs: () => this.#env.clock.nowMs(),
      room: ref,
      writes: mark.writes,
    };
    // Loaded when a database is left: hardly any ever is.
    const salvaged = await import('./on-demand.js').then((module) => module.salvage(source, heir)).catch(reportError);
    const { rows = [], lost = mark.writes } = salvaged ?? {};
    return { rows, row: 0, lost: [], salvaged: { lost } };
  }

  #takeNewIdentity(room: OpenRoom, spent: ReplicaId): void {
    this.#replace(room, async (former) => {
      await former?.close();
      const runtime = await this.#open(room, { spent });
      runtime.fault(errorToFacts(new MangroveError('DOT_REUSED', { replica: spent })));
      return runtime;
    });
  }

  /** [JS8] Into the next database, with what this tab has written and nobody else has. */
  #moveRoom(room: OpenRoom): void {
    this.#replace(room, async (former) => {
      // It was being opened when the database failed, and has been opened in the next one.
      if (former !== undefined && room.opened === (await this.#databases.current())) return former;
      const carried = await former?.leave();
      const runtime = await this.#open(room, { carried });
      if (carried !== undefined && carried.lost.length > 0)
        runtime.lost(new MangroveError('STORAGE_LOST', { writes: carried.lost.length }));
      return runtime;
    });
  }

  #replace(room: OpenRoom, replace: (former: RoomRuntime | undefined) => Promise<RoomRuntime>): void {
    const former = room.runtime;
    const before = room.opened;
    const replaced = former.then(replace, () => replace(undefined));
    room.runtime = replaced;
    replaced.then(
      // The page has nothing yet of a room that is being opened for the first time.
      () => before !== undefined && room.listener.reopened(room.opened !== before),
      (error: unknown) => reportError(error),
    );
  }
}

/**
 * Whether this profile has opened a room of this name under the other configuration, which is another room [ID1], and has nothing of it. Throws
 * `ROOM_CONFIG_MISMATCH` where it has.
 */
async function hasEmptyOther(
  { hash }: Environment,
  database: Database,
  { room, history }: RoomOptions,
): Promise<boolean> {
  const here = history === 'full' ? 'current' : 'full';
  const roomId = deriveRoomId(hash, room, configOf(here));
  if ((await database.readIdentity(roomId)) === undefined) return false;
  const store = database.room(roomId);
  const isUsed = await store.transact(hasAnything, { mode: 'read' }).finally(() => store.close());
  if (isUsed) throw new MangroveError('ROOM_CONFIG_MISMATCH', { room, history, here });
  return true;
}

function* hasAnything(tx: Transaction): Steps<boolean> {
  const first = { from: new Uint8Array(), limit: 1 };
  for (const table of ['deltas', 'journal'] as const) if ((yield* tx.keys(table, first)).length > 0) return true;
  return false;
}

const ENDS: ReadonlySet<ErrorCode> = new Set(['CLOSED', 'STORAGE_UNAVAILABLE', 'STORAGE_NEWER', 'STORAGE_DAMAGED']);

/** What a runtime rejects with that has ended, or whose database has. */
function isEnd(error: unknown): boolean {
  return isMangroveError(error) && ENDS.has(error.code);
}
