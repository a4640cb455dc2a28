import {
  assertName,
  bytesToHex,
  deriveKeyId,
  type Edit,
  type ErrorFacts,
  errorToFacts,
  type KeyId,
  MangroveError,
  type ReplicaId,
  type RoomRef,
  type Steps,
  type Transaction,
} from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { ReceivedKey, RoomChannel, TabNotice } from '../tabs/room-channel.js';
import type { ChangeOrigin, RoomStatus } from '../types.js';
import type { BackupHost } from './backup/backup-host.js';
import type { Carried } from './carried.js';
import { Collections } from './collections.js';
import { DocumentReader } from './document-reader.js';
import { documentName, type OpenedDocument, openDocument } from './documents.js';
import type { ReachedWait, RoomListener, Vitals, WriteResult } from './engine-api.js';
import { type LoadedRoom, openRows } from './load.js';
import { Notices } from './notices.js';
import { OpenDocuments } from './open-documents.js';
import type { Owner } from './owner.js';
import { Ownership } from './ownership.js';
import { Pending } from './pending.js';
import { Presences } from './presences.js';
import { Rereading } from './rereading.js';
import type { RoomParts } from './room-parts.js';
import { Rungs } from './rungs.js';
import type { RuntimeOptions } from './runtime-options.js';
import { INITIAL_STATUS } from './status.js';
import { StatusBoard } from './status-board.js';
import { Trash } from './trash.js';
import { Unkept } from './unkept.js';
import { Unsent } from './unsent.js';
import { Writes } from './writes.js';

/**
 * One room in one tab's worker. Every tab journals and reads; the tab that owns the replica has an {@link Owner} too, which seals,
 * sends and receives. This class connects the parts; each decision has a file of its own.
 */
export class RoomRuntime {
  /** Reading records, in every tab. */
  readonly collections: Collections;
  /** What this tab's page writes. */
  readonly writes: Writes;
  /** What was collected here, in every tab. */
  readonly trash: Trash;
  readonly #env: Environment;
  readonly #reader: DocumentReader;
  readonly #options: RuntimeOptions;
  readonly #parts: RoomParts;
  readonly #ownership: Ownership;
  readonly #presences: Presences;
  readonly #rereading: Rereading;
  readonly #notices: Notices;
  #isClosed = false;

  static async open(env: Environment, options: RuntimeOptions, listener: RoomListener): Promise<RoomRuntime> {
    const { store, config, identity, database } = options;
    // Tabs that have no common storage are replicas of their own, and none of them must wait for another.
    const name = `mangrove:${database}:${config.room.roomId}${options.isPersistent ? '' : `:${identity.replica}`}`;
    // Heard before it is read, so that nothing falls between the two.
    const channel = env.openChannel(name);
    const heard: TabNotice[] = [];
    channel.listen((notice) => heard.push(notice));
    try {
      const loaded = await openRows(store, config.room, identity.replica, options.carried);
      const runtime = new RoomRuntime(env, options, listener, channel, loaded);
      runtime.#begin(name);
      for (const notice of heard) runtime.#notices.heard(notice);
      return runtime;
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  private constructor(
    env: Environment,
    options: RuntimeOptions,
    listener: RoomListener,
    channel: RoomChannel,
    loaded: LoadedRoom,
  ) {
    this.#env = env;
    this.#options = options;
    this.#parts = this.#makeParts(listener, channel, loaded);
    this.collections = this.#parts.collections;
    this.#reader = new DocumentReader(this.#parts.shown, options.config.room);
    const owner = (): Owner | undefined => this.#ownership.owner;
    const deliver = (keys: readonly ReceivedKey[], origin: ChangeOrigin) => this.#deliver(keys, origin);
    this.#presences = new Presences(env, this.#parts, owner);
    this.#rereading = new Rereading(options, this.#parts, {
      isClosed: () => this.#isClosed,
      deliver,
      poke: (rows) => owner()?.poke(rows),
    });
    this.#ownership = this.#makeOwnership();
    this.writes = new Writes(env, options, this.#parts, owner);
    this.trash = new Trash(options.store, options.config.room, (edit) => this.#recover(edit));
    this.#notices = new Notices(this.#parts, this.#ownership, this.#presences, this.writes, {
      deliver,
      readSoon: () => this.#rereading.readSoon(),
      reopen: (spent) => this.#reopen(spent),
    });
    channel.listen((notice) => this.#notices.heard(notice));
  }

  get status(): RoomStatus {
    return this.#parts.status.room;
  }

  async openDocument(id: string): Promise<OpenedDocument> {
    assertName('document', id);
    const { config, identity } = this.#options;
    // Open before reading: what is committed meanwhile is told, and applying it twice changes nothing.
    this.#parts.documents.open(id, this.#keyIdOf(id));
    const read = (keyId: KeyId) => this.#reader.read(keyId);
    return openDocument(read, config.room, identity.replica, id, this.#env.random.u32());
  }

  closeDocument(id: string): void {
    this.#parts.documents.close(id);
  }

  presence(id: string, state: Uint8Array): void {
    this.#presences.tell(this.#keyIdOf(id), state);
  }

  async reached(wait: ReachedWait): Promise<void> {
    const { rungs, status } = this.#parts;
    await rungs.reached(wait, wait.rung === 'applied' ? this.writes.applied() : this.writes.idle());
    status.tellNow();
  }

  /** What was written before is journaled first, or a room that knows nothing of it yet would pass for in sync. */
  async synced(name: number): Promise<void> {
    const { rungs, status } = this.#parts;
    await rungs.synced(name, this.writes.idle());
    status.tellNow();
  }

  cancel(name: number): void {
    this.#parts.rungs.cancel(name);
  }

  /** The network, for all tabs of the replica: one of them has the connection. */
  pause(isPaused: boolean): void {
    this.#ownership.setPaused(isPaused);
    this.#parts.channel.post({ kind: 'network', paused: isPaused });
  }

  vitals(): Vitals {
    const isUnguarded = this.#ownership.owner?.isUnguarded ?? false;
    return { ownerSilentMs: this.#ownership.ownerSilentMs(), isUnguarded };
  }

  /** What backing up and restoring need of a room: both are rare, and loaded when they are asked for. */
  get backupHost(): BackupHost {
    return {
      env: this.#env,
      options: this.#options,
      idle: () => this.writes.idle(),
      isKnown: (row) => this.#parts.pending.isKnown(row),
      tell: (notice) => this.#tell(notice),
      fault: (error) => this.fault(error),
    };
  }

  /** Of the rows of the room, which change by nothing that is read. */
  look<Result>(plan: (tx: Transaction, room: RoomRef) => Steps<Result>): Promise<Result> {
    const { store, config } = this.#options;
    return store.transact((tx) => plan(tx, config.room), { mode: 'read' });
  }

  fault(error: ErrorFacts): void {
    this.#parts.status.fault(error);
  }

  /** Told to all tabs, as the owner may be another one. */
  lost(error: MangroveError): void {
    this.#tell({ kind: 'lost', error: errorToFacts(error), seqs: [] });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ownership.decline();
    // What the page has handed over is on disk before the tab is gone.
    await this.writes.stop();
    this.#presences.leave();
    // What is under way is told to the other tabs before another one takes over.
    await this.#ownership.stop();
    this.#parts.status.close();
    this.#parts.rungs.close(new MangroveError('CLOSED', { what: 'room' }));
    this.#presences.close();
    this.#ownership.release();
    this.#parts.channel.close();
  }

  /** Closes a room whose store has failed. */
  async leave(): Promise<Carried> {
    await this.close();
    const { pending, unkept, unsent } = this.#parts;
    const isOwner = this.#ownership.owner !== undefined;
    const rows = [...unsent.rows(isOwner), ...unkept.ownRows()];
    const known = new Set(rows.map(({ number }) => number));
    return { rows, row: pending.lastRow, lost: pending.receiptsWaiting().filter((row) => !known.has(row)) };
  }

  #begin(name: string): void {
    this.#presences.begin(name, () => {
      if (this.#ownership.owner !== undefined) this.writes.adopt();
      this.#rereading.readSoon();
    });
    this.#ownership.begin(name);
  }

  #makeParts(listener: RoomListener, channel: RoomChannel, loaded: LoadedRoom): RoomParts {
    const { store, config, identity, relays, storage, carried, isPersistent } = this.#options;
    const nowMs = (): number => this.#env.clock.nowMs();
    const pending = new Pending(carried?.lost);
    const unsent = new Unsent();
    unsent.load(loaded.journal);
    const unkept = new Unkept(this.#env.random.u32());
    const shown = unkept.over(store);
    pending.load(loaded);
    for (const [i, number] of loaded.carried.entries()) {
      const row = carried?.rows[i];
      if (row !== undefined) pending.renumbered(row.number, number);
    }
    pending.heads(loaded.heads);
    const initial = {
      ...INITIAL_STATUS,
      connection: relays.length > 0 ? 'offline' : 'none',
      storage,
      root: bytesToHex(loaded.root),
      lastSyncedAtMs: loaded.syncedAtMs || null,
      ...loaded.marks,
    } as const;
    const status: StatusBoard = new StatusBoard(initial, pending, {
      place: this.#options.place,
      nowMs,
      isFull: () => !unkept.isEmpty,
      tell: (shown, metrics, isAnswered) => listener.status(shown, metrics, isAnswered),
      changed: (link) => {
        if (this.#ownership.owner !== undefined) channel.post({ kind: 'status', status: link });
        rungs.lookAgain();
      },
    });
    const isInSync = (): boolean => status.room.sync === 'in-sync';
    const hasRelay = relays.length > 0;
    const rungs = new Rungs(pending, { hasRelay, hasDisk: isPersistent }, config.limits, nowMs, isInSync);
    const documents = new OpenDocuments(listener);
    const collections = new Collections(shown, config.room, identity.replica, (collection, changes) =>
      listener.changes(collection, changes),
    );
    return { listener, channel, pending, status, rungs, documents, collections, unkept, unsent, shown };
  }

  #makeOwnership(): Ownership {
    const { listener, channel, pending, status, documents } = this.#parts;
    const host = {
      status,
      token: () => listener.token(),
      tell: (notice: TabNotice) => this.#tell(notice),
      post: (notice: TabNotice) => channel.post(notice),
      received: ({ keys }: { readonly keys: readonly ReceivedKey[] }) => this.#deliver(keys, 'remote'),
      isKnown: (row: number) => pending.isKnown(row),
      hasUnacknowledged: () => pending.hasSealed,
      show: (peer: string, keyId: KeyId, state: Uint8Array) => documents.showPeer(peer, keyId, state),
      peers: (replica: string, present: boolean) => this.#presences.peers(replica, present),
      tookOver: async () => {
        channel.post({ kind: 'took-over' });
        this.writes.adopt();
        await this.#rereading.read();
      },
      steppedDown: () => {
        // The owner answers with how things stand, and what it did while this tab was frozen is in the store.
        channel.post({ kind: 'arrived' });
        this.#rereading.readSoon();
      },
    };
    return new Ownership(this.#env, this.#options, host);
  }

  /** To this tab and to all others, in the same words. */
  #tell(notice: TabNotice): void {
    this.#notices.heard(notice);
    this.#parts.channel.post(notice);
  }

  /** Once: the owner and the other tabs may both say so. */
  #reopen(spent: ReplicaId): void {
    if (!this.#isClosed && spent === this.#options.identity.replica) this.#options.reopen(spent);
  }

  /** The page of this tab did not make what is recovered, and is told of it as the other tabs are. */
  async #recover(edit: Edit): Promise<WriteResult> {
    const written = await this.writes.write(edit);
    if (edit.name.kind === 'document')
      this.#parts.documents.deliver([{ document: edit.name.id, updates: [edit.payload] }]);
    return written;
  }

  #deliver(keys: readonly ReceivedKey[], origin: ChangeOrigin): void {
    this.#parts.documents.deliver(keys);
    this.collections.changed(keys, origin);
  }

  #keyIdOf(document: string): KeyId {
    const { hash, roomId } = this.#options.config.room;
    return deriveKeyId(hash, roomId, documentName(document));
  }
}
