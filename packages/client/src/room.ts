import { assertName, type Limits, MangroveError, type Value, VERSION_PARTS, VERSIONS } from '@mangrove/protocol';
import { type BackupStream, backupStream } from './backup.js';
import { Collection, type CollectionOptions } from './collection.js';
import { DocumentHandle } from './documents/document-handle.js';
import { HealthWatch } from './health/health-watch.js';
import type { PageClock } from './health/times.js';
import { MarkKeeper, markOf, type Marks } from './marks.js';
import { closedStatus, failedStatus, initialStatus, withUnjournaled } from './page-status.js';
import { Quarantine } from './quarantine.js';
import type { Receipt, ReachedOptions } from './receipt.js';
import { type Resolver, resolverName } from './resolvers/resolver.js';
import type {
  Health,
  Metrics,
  RecordChange,
  RoomStatus,
  Rung,
  TrashEntry,
  TrashOptions,
  WorkerMetrics,
} from './types.js';
import { isAtRisk, UnloadWarning } from './unload.js';
import { NOTHING_REPAIRED } from './worker/status.js';
import { Waits } from './waits.js';
import type { EngineApi, Relays, RoomListener, WriteResult } from './worker/engine-api.js';

const TRASH_PAGE = 100;

export interface RoomOptions {
  /** Sent in the first frame of each connection, never in a URL; a function is asked again on every connect. */
  readonly token?: string | (() => string | Promise<string>);
  /** `full`: everything is kept for good, and `versions` lists it. Default `current`. Another than the room has: `ROOM_CONFIG_MISMATCH`. */
  readonly history?: 'current' | 'full';
}

/** What a room needs of the client it belongs to. */
export interface RoomHost {
  readonly relays: Relays;
  readonly limits: Limits;
  readonly clock: PageClock;
  readonly marks: Pick<Marks, 'read' | 'write'>;
  /** Whether the browser keeps what is stored; null where it does not say. */
  persisted(): boolean | null;
  engine(): EngineApi;
  /** `done`: when the worker has let go of it, with everything that was handed over before. */
  closed(room: string, done: Promise<void>): void;
  /** When the worker has let go of the room's former handle: opened before that, it would be closed with it. */
  left(room: string): Promise<void>;
}

/**
 * Who syncs together: documents, collections and how they stand. Made by `client.room(name)`; opens when it is first used.
 */
export class Room {
  readonly name: string;
  /** What was set aside and is not read. */
  readonly quarantine: Quarantine;
  readonly #host: RoomHost;
  readonly #options: RoomOptions;
  readonly #documents = new Map<string, DocumentHandle>();
  readonly #collections = new Map<string, Collection<never>>();
  readonly #statusListeners = new Set<(status: RoomStatus) => void>();
  readonly #waits: Waits;
  readonly #health: HealthWatch;
  readonly #mark: MarkKeeper;
  readonly #unload = new UnloadWarning(() => this.#isAtRisk());
  #status: RoomStatus;
  #metrics: WorkerMetrics = {
    repairs: NOTHING_REPAIRED,
    storage: { place: 'main', lostWrites: 0 },
  };
  #ready: Promise<void> | undefined;
  #openedAtMs: number | undefined;
  #unjournaled = 0;
  #isClosed = false;

  constructor(name: string, options: RoomOptions, host: RoomHost) {
    this.name = name;
    this.#options = options;
    this.#host = host;
    this.#status = initialStatus(host.relays.length > 0);
    this.#waits = new Waits({ room: name, ready: () => this.#open(), engine: () => this.#engine });
    this.#mark = new MarkKeeper((writes) => {
      host.marks.write(name, writes === null ? undefined : { writes, atMs: host.clock.nowMs() });
    });
    this.quarantine = new Quarantine({ room: name, ready: () => this.#open(), engine: () => this.#engine });
    this.#health = new HealthWatch({
      clock: host.clock,
      ask: () => this.#engine.vitals(name),
      status: () => this.status,
      storage: () => this.metrics().storage,
      openedAtMs: () => (this.#isClosed ? undefined : this.#openedAtMs),
    });
  }

  /** Local state is readable; never waits for the network. Rejects when the storage cannot be used at all. */
  get ready(): Promise<void> {
    return this.#open();
  }

  /** Includes writes that this page has handed over but that are not yet journaled. */
  get status(): RoomStatus {
    return withUnjournaled(this.#status, this.#unjournaled);
  }

  /** Calls back after each change of the status, or of the reasons in `health()`; the returned function ends it. */
  on(event: 'status', listener: (status: RoomStatus) => void): () => void;
  on(event: 'health', listener: (health: Health) => void): () => void;
  on(event: 'status' | 'health', listener: ((status: RoomStatus) => void) & ((health: Health) => void)): () => void {
    if (event !== 'status' && event !== 'health')
      throw new MangroveError('NOT_SUPPORTED', { feature: `The room event ${String(event)}` });
    this.#open().catch(() => {});
    if (event === 'health') return this.#health.listen(listener);
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  /** Whether anything keeps the room from being safe and the same everywhere, and what. Opens nothing and never waits. */
  health(): Health {
    return this.#health.look();
  }

  /**
   * While something that was written on this page would be lost with it, the browser asks the person whether to leave: what is not on disk
   * yet, or is in memory only and at no relay. The returned function ends it.
   */
  warnBeforeUnload(): () => void {
    return this.#unload.begin();
  }

  /** What was counted since the room was opened; as old as the status. */
  metrics(): Metrics {
    return { ...this.#metrics, storage: { ...this.#metrics.storage, persisted: this.#host.persisted() } };
  }

  /** The next `in-sync` that covers everything written before; offline it waits. Rejects: `NO_RELAY`, `CLOSED`, `ABORTED`. */
  async synced(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#assertOpen();
    if (this.#host.relays.length === 0) throw new MangroveError('NO_RELAY');
    await this.#flush();
    await this.#waits.synced(options.signal);
  }

  /** Everything written so far, in all documents and collections. */
  async reached(rung: Rung, options: ReachedOptions = {}): Promise<void> {
    this.#assertOpen();
    await this.#flush();
    await this.#waits.reached('all', rung, options);
  }

  /** Cuts the network, both ways; local work goes on. */
  pause(): void {
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
  }

  /** A shared Yjs document. One handle a name; each call is to be matched by a `close()`, the last of which releases it. */
  document(name: string): DocumentHandle {
    assertName('document', name);
    this.#assertOpen();
    let handle = this.#documents.get(name);
    if (handle === undefined) {
      handle = new DocumentHandle(name, {
        ready: () => this.#open(),
        engine: () => this.#engine,
        room: this.name,
        status: () => this.status,
        onStatus: (listener) => this.on('status', listener),
        hasRelay: this.#host.relays.length > 0,
        reached: (rung, options) => this.#waits.reached('all', rung, options),
        synced: () => this.#waits.synced(undefined),
        receipt: (written) => this.#receipt(written),
        unjournaled: (change) => this.#countUnjournaled(change),
        released: () => this.#documents.delete(name),
        isOpen: () => this.#documents.has(name),
      });
      this.#documents.set(name, handle);
    }
    return handle.retain();
  }

  /** A collection of records. One handle a name; another resolver for the same name is `ROOM_OPTIONS_CONFLICT`. */
  collection<T = Value>(name: string, options: CollectionOptions = {}): Collection<T> {
    assertName('collection', name);
    if (name === VERSIONS || name === VERSION_PARTS)
      throw new MangroveError('NAME_INVALID', { what: 'collection', reason: 'versions are kept under it' });
    this.#assertOpen();
    const { resolver: descriptor, ...others } = options;
    const [unknown] = Object.entries(others).filter(([, value]) => value !== undefined);
    if (unknown !== undefined)
      throw new MangroveError('NOT_SUPPORTED', { feature: `The collection option ${unknown[0]}` });
    const resolver = resolverName(descriptor as Resolver | undefined);
    const existing = this.#collections.get(name) as Collection<T> | undefined;
    if (existing !== undefined) {
      if (existing.resolver !== resolver) throw new MangroveError('ROOM_OPTIONS_CONFLICT', { room: this.name });
      return existing;
    }
    const collection = new Collection<T>(name, resolver, {
      valueBytesMax: this.#host.limits.valueBytesMax,
      ready: () => this.#open(),
      engine: () => this.#engine,
      room: this.name,
      receipt: (written) => this.#receipt(written),
      unjournaled: (change) => this.#countUnjournaled(change),
    });
    this.#collections.set(name, collection as unknown as Collection<never>);
    return collection;
  }

  /**
   * What the room has collected, and this device still had or got too late: a page of it, the oldest first. The same in all tabs of the
   * profile, and of this device alone. Rejects: `OPTION_INVALID`, `CLOSED`.
   */
  async trash(options: TrashOptions = {}): Promise<readonly TrashEntry[]> {
    const { limit = TRASH_PAGE, after } = options;
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new MangroveError('OPTION_INVALID', { option: 'limit', reason: `${limit} is no whole number from 1 on` });
    await this.#open();
    return this.#engine.trash(this.name, limit, after?.id);
  }

  /**
   * Writes it anew, as a write of now, and takes it out of the trash, both or neither: a record as by `put`, so that it replaces what is there,
   * and what was added to a document as by `import`. Rejects: `NOT_IN_TRASH` where it is not there any more, `UNDECODABLE`,
   * and as any write does.
   */
  async recover(entry: Pick<TrashEntry, 'id'>): Promise<Receipt> {
    this.#countUnjournaled(1);
    try {
      await this.#open();
      return this.#receipt(await this.#engine.recover(this.name, entry.id));
    } finally {
      this.#countUnjournaled(-1);
    }
  }

  /** Forgets these entries, or all there are. What is not there any more is forgotten already. */
  async emptyTrash(entries?: readonly Pick<TrashEntry, 'id'>[]): Promise<void> {
    await this.#open();
    const ids = entries?.map(({ id }) => id);
    await this.#engine.emptyTrash(this.name, ids);
  }

  /**
   * All that this device has of the room, as a stream for a file: documents, records and what was never sent. With `since` only what came
   * after an earlier backup, whose `mark` it is. It is read while the room goes on, as fast as it is taken. Rejects: `OPTION_INVALID`.
   */
  async backup(options: { readonly since?: string } = {}): Promise<BackupStream> {
    this.#assertOpen();
    const { since, ...others } = options;
    const [unknown] = Object.entries(others).filter(([, value]) => value !== undefined);
    if (unknown !== undefined)
      throw new MangroveError('NOT_SUPPORTED', { feature: `The option ${unknown[0]} of backup` });
    // An edit that was refused is in no backup and keeps none from being made; whoever wrote it was told.
    await this.#settle().catch(() => {});
    await this.#open();
    return backupStream(this.#engine, await this.#engine.backup(this.name, since));
  }

  close(): void {
    if (this.#isClosed) return;
    // What the page still holds goes out first: messages to the worker keep their order.
    for (const document of this.#documents.values()) document.release();
    const writes = Promise.all([...this.#collections.values()].map((collection) => collection.flush()));
    this.#isClosed = true;
    this.#documents.clear();
    this.#tellClosed();
    const opened = this.#ready;
    const leave = async (): Promise<void> => {
      if (opened === undefined) return;
      await opened;
      await writes;
      await this.#engine.closeRoom(this.name);
    };
    const left = leave().catch(() => {});
    this.#host.closed(
      this.name,
      left.then(() => this.#unload.end()),
    );
  }

  #tellClosed(): void {
    this.#setStatus(closedStatus(this.#status));
    this.#statusListeners.clear();
    this.#health.close();
    this.#mark.close();
  }

  get #engine(): EngineApi {
    return this.#host.engine();
  }

  #open(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new MangroveError('CLOSED', { what: 'room' }));
    if (this.#ready === undefined) {
      this.#openedAtMs = this.#host.clock.steadyMs();
      this.#ready = this.#start();
      this.#ready.catch(() => {});
    }
    return this.#ready;
  }

  async #start(): Promise<void> {
    await this.#host.left(this.name);
    const { relays, marks, clock } = this.#host;
    const { history = 'current' } = this.#options;
    const options = { room: this.name, relays, history, mark: marks.read(this.name) };
    const status = await this.#engine.openRoom(options, this.#listener()).catch((error: unknown) => {
      this.#setStatus(failedStatus(this.#status, error, clock.nowMs()));
      throw error;
    });
    if (this.#status.storage === 'opening') this.#setStatus(status);
  }

  #listener(): RoomListener {
    return {
      status: (status, metrics) => {
        this.#metrics = metrics;
        if (this.#isClosed) return;
        this.#mark.note(markOf(status, metrics.storage.place));
        this.#setStatus(status);
      },
      updates: (document, updates) => this.#documents.get(document)?.receive(updates),
      changes: (collection, changes) =>
        this.#collections.get(collection)?.receive(changes as readonly RecordChange<never>[]),
      peerPresence: (document, peer, state) => this.#documents.get(document)?.presence.receive(peer, state),
      peersGone: (peer) => {
        for (const document of this.#documents.values()) document.presence.gone(peer);
      },
      presenceWanted: () => {
        for (const document of this.#documents.values()) document.presence.announce();
      },
      reopened: (hasMoved) => {
        for (const document of this.#documents.values()) document.regrant(hasMoved);
        for (const collection of this.#collections.values()) collection.rewatch();
      },
      token: async () => {
        const { token } = this.#options;
        return typeof token === 'function' ? token() : token;
      },
    };
  }

  /** A room that cannot be opened, or was closed meanwhile, has no network to cut. */
  #setPaused(isPaused: boolean): void {
    this.#open()
      .then(() => this.#engine.pause(this.name, isPaused))
      .catch(() => {});
  }

  #setStatus(status: RoomStatus): void {
    this.#status = Object.freeze(status);
    this.#health.noteStatus(status);
    this.#unload.update();
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#statusListeners]) listener(this.status);
  }

  /** The worker tells of a write before it answers for it, so what was told then has counted it twice. */
  #countUnjournaled(change: number): void {
    this.#unjournaled += change;
    this.#unload.update();
    if (change < 0) this.#tell();
  }

  /** What is in memory only goes with a room that is closed, and the app has closed it. */
  #isAtRisk(): boolean {
    const { storage, pending } = this.#status;
    return isAtRisk({ storage: this.#isClosed ? 'indexeddb' : storage, pending }, this.#unjournaled);
  }

  #receipt({ rows, version, rung: first }: WriteResult): Receipt {
    return { version, rung: first, reached: (rung, options = {}) => this.#waits.reached(rows, rung, options) };
  }

  async #flush(): Promise<void> {
    await this.#open();
    await Promise.all([...this.#documents.values(), ...this.#collections.values()].map((held) => held.flush()));
  }

  async #settle(): Promise<void> {
    await this.#open();
    const documents = [...this.#documents.values()].map((document) => document.settle());
    await Promise.all([...documents, ...[...this.#collections.values()].map((collection) => collection.flush())]);
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MangroveError('CLOSED', { what: 'room' });
  }
}
