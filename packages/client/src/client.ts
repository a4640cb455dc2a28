import {
  assertName,
  defaultLimits,
  type Limits,
  MangroveError,
  spellRelay,
  type WeightedRelay,
} from '@mangrove/protocol';
import { restoreFrom } from './backup.js';
import { Room, type RoomHost, type RoomOptions } from './room.js';
import type { PageWord } from './rpc/expose.js';
import { wrapEngine, type WrappedEngine } from './rpc/wrap.js';
import { Marks } from './marks.js';
import { Persistence } from './persistence.js';
import type { RestoreResult } from './types.js';
import type { EngineApi } from './worker/engine-api.js';

export interface ClientOptions {
  /** Name of the IndexedDB database: clients of one name in one browser profile are one replica of each room. */
  readonly name: string;
  /**
   * Base URL of the relay, e.g. `wss://relay.example.com`, or of several that are peers of each other: each room has its own order of them, and goes to
   * the first that is there. A weight (1) says how large a share of the rooms a relay has. Without any the client is local only.
   */
  readonly relay?: string | readonly (string | { readonly url: string; readonly weight?: number })[];
  /** For bundlers that cannot see `new URL('./worker/entry.js', import.meta.url)`. */
  readonly worker?: () => Worker;
  readonly limits?: Partial<Limits>;
}

export interface Client {
  /** The same handle for the same name; opens nothing until it is used. */
  room(name: string, options?: RoomOptions): Room;
  /**
   * Merges what `room.backup()` has written into the rooms that it is of, whether they are open or not: everything is verified like what a
   * relay sends, nothing newer is replaced, and restoring twice changes nothing. Rejects: `BACKUP_CUT` and `BACKUP_DAMAGED`, after what is
   * whole was restored (`error.facts.mark`: where a backup of the rest may begin); `NOT_SUPPORTED`; `STORAGE_FULL`.
   */
  restore(stream: ReadableStream<Uint8Array>): Promise<RestoreResult>;
  /**
   * Asks the browser not to delete what the site has stored when the disk runs full; resolves to whether it will not. Firefox asks the
   * person, so call it when they have something to lose, and never wait for it before something else.
   */
  persist(): Promise<boolean>;
  close(): Promise<void>;
  /** Deletes everything this client has stored on this device. */
  destroy(options: { readonly deleteLocalData: true }): Promise<void>;
}

const NETWORK_WORDS = ['online', 'offline'] as const;

/** Synchronous, and does nothing yet: the worker starts with the first room that is used. Throws `NAME_INVALID`, `NOT_SUPPORTED`. */
export function createClient(options: ClientOptions): Client {
  assertOptions(options);
  const relays = relaysOf(options.relay);
  const limits = { ...defaultLimits, ...options.limits };
  const rooms = new Map<string, { readonly room: Room; readonly options: RoomOptions }>();
  let worker: Worker | undefined;
  let wrapped: WrappedEngine | undefined;
  let isClosed = false;
  const persistence = new Persistence();
  const marks = new Marks(options.name);

  const start = (): EngineApi => {
    if (wrapped === undefined) {
      worker = (options.worker ?? startWorker)();
      wrapped = wrapEngine(worker, { database: options.name, limits });
      void persistence.look();
      for (const word of NETWORK_WORDS) globalThis.addEventListener?.(word, tellNetwork);
      globalThis.document?.addEventListener('visibilitychange', tellVisibility);
      tellVisibility();
    }
    return wrapped.engine;
  };
  const tellNetwork = ({ type }: Event): void => wrapped?.tell(type as PageWord);
  const tellVisibility = (): void => wrapped?.tell(globalThis.document?.hidden ? 'hidden' : 'visible');
  const leaving = new Map<string, Promise<void>>();
  const host: RoomHost = {
    relays,
    limits,
    clock: { steadyMs: () => performance.now(), nowMs: () => Date.now() },
    marks,
    persisted: () => persistence.isPersisted,
    engine: start,
    closed: (name, done) => {
      rooms.delete(name);
      leaving.set(name, done);
    },
    left: (name) => leaving.get(name) ?? Promise.resolve(),
  };

  const shutDown = async (deleteData: boolean): Promise<void> => {
    if (isClosed) return;
    for (const { room } of [...rooms.values()]) room.close();
    isClosed = true;
    await Promise.all(leaving.values());
    if (wrapped !== undefined || deleteData) await start().shutDown(deleteData);
    for (const word of NETWORK_WORDS) globalThis.removeEventListener?.(word, tellNetwork);
    globalThis.document?.removeEventListener('visibilitychange', tellVisibility);
    worker?.terminate();
    if (deleteData) marks.forgetAll();
  };

  return {
    room: (name, roomOptions = {}) => {
      if (isClosed) throw new MangroveError('CLOSED', { what: 'client' });
      assertRoomName(name);
      assertSupported(roomOptions);
      const open = rooms.get(name);
      if (open !== undefined) {
        if (Object.keys(roomOptions).length > 0 && !isSame(open.options, roomOptions))
          throw new MangroveError('ROOM_OPTIONS_CONFLICT', { room: name });
        return open.room;
      }
      const room = new Room(name, roomOptions, host);
      rooms.set(name, { room, options: roomOptions });
      return room;
    },
    restore: async (stream) => {
      if (isClosed) throw new MangroveError('CLOSED', { what: 'client' });
      return restoreFrom(stream, start());
    },
    persist: () => persistence.ask(),
    close: () => shutDown(false),
    destroy: ({ deleteLocalData }) => {
      if (deleteLocalData !== true)
        return Promise.reject(new MangroveError('NOT_SUPPORTED', { feature: 'destroy without deleteLocalData: true' }));
      return shutDown(true);
    },
  };
}

function startWorker(): Worker {
  if (typeof Worker === 'undefined')
    throw new MangroveError('NOT_SUPPORTED', { feature: 'A platform without module workers' });
  return new Worker(new URL('./worker/entry.js', import.meta.url), { type: 'module' });
}

/** Each once. */
function relaysOf(relay: ClientOptions['relay']): readonly WeightedRelay[] {
  const given = relay === undefined ? [] : typeof relay === 'string' ? [relay] : relay;
  const relays = new Map<string, WeightedRelay>();
  for (const one of given) {
    const { url: text, weight = 1 } = typeof one === 'string' ? { url: one } : one;
    const url =
      (URL.canParse(text) ? spellRelay(new URL(text)) : undefined) ??
      optionInvalid('relay', `${text} is no ws:// or wss:// URL`);
    if (!(weight > 0 && weight < Number.POSITIVE_INFINITY))
      optionInvalid('relay', `${weight} is no weight: it is to be a number above zero`);
    relays.set(url, { url, weight });
  }
  return [...relays.values()];
}

function optionInvalid(option: string, reason: string): never {
  throw new MangroveError('OPTION_INVALID', { option, reason });
}

/** A room is a segment of a URL, where these two mean something else. */
function assertRoomName(name: string): void {
  assertName('room', name);
  if (name === '.' || name === '..')
    throw new MangroveError('NAME_INVALID', { what: 'room', reason: 'it is a path of its own' });
}

function assertOptions(options: ClientOptions): void {
  assertName('room', options.name);
  const { name: _, relay: __, worker: ___, limits, ...others } = options;
  const [unknown] = Object.entries(others).filter(([, value]) => value !== undefined);
  if (unknown !== undefined) throw new MangroveError('NOT_SUPPORTED', { feature: `The client option ${unknown[0]}` });
  for (const [name, limit] of Object.entries(limits ?? {})) {
    if (!(name in defaultLimits) || !Number.isSafeInteger(limit) || limit < 0)
      optionInvalid(`limits.${name}`, `${limit} is no bound of this name`);
  }
}

/** Nothing is silently ignored: what this version cannot do, it refuses. */
function assertSupported(options: RoomOptions): void {
  const { token: _, history, ...others } = options as RoomOptions & Record<string, unknown>;
  for (const [feature, value] of Object.entries(others)) {
    if (value !== undefined) throw new MangroveError('NOT_SUPPORTED', { feature: `The room option ${feature}` });
  }
  if (history !== undefined && history !== 'current' && history !== 'full')
    optionInvalid('history', `${String(history)} is neither current nor full`);
}

function isSame(a: RoomOptions, b: RoomOptions): boolean {
  return a.token === b.token && (a.history ?? 'current') === (b.history ?? 'current');
}
