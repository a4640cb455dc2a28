import {
  assertName,
  bytesToHex,
  deriveClientId,
  deriveKeyId,
  type Edit,
  errorToFacts,
  type ErrorFacts,
  FLAG,
  type KeyId,
  MangroveError,
  type ReplicaId,
  type RoomRef,
} from '@mangrove/protocol';
import { mergeUpdates } from '../documents/merge.js';
import type { Environment } from '../environment.js';
import type { Leadership } from '../tabs/leadership.js';
import { TabLives } from '../tabs/tab-lives.js';
import type { JournaledRow, ReceivedKey, RoomChannel, TabNotice } from '../tabs/room-channel.js';
import type { ChangeOrigin, RoomStatus } from '../types.js';
import { Collections } from './collections.js';
import { documentName, type OpenedDocument, openDocument } from './documents.js';
import type { DocumentEdit, ReachedWait, RoomListener, WriteResult } from './engine-api.js';
import { JournalWriter, toReceivedKey } from './journal-writer.js';
import { type LoadedRoom, loadRoom, readRoom } from './load.js';
import { OpenDocuments, peerOfTab } from './open-documents.js';
import { Owner } from './owner.js';
import { Pending } from './pending.js';
import { recordName, versionOf } from './records.js';
import { Rungs } from './rungs.js';
import type { RuntimeOptions } from './runtime-options.js';
import { INITIAL_STATUS } from './status.js';
import { StatusBoard } from './status-board.js';

/**
 * One room in one tab's worker. Every tab journals and reads; the tab that owns the replica has an {@link Owner} too, which seals,
 * sends and receives. This class connects the parts; each decision has a file of its own.
 */
export class RoomRuntime {
  /** Reading records, in every tab. */
  readonly collections: Collections;
  readonly #env: Environment;
  readonly #options: RuntimeOptions;
  readonly #listener: RoomListener;
  readonly #room: RoomRef;
  readonly #tab: number;
  readonly #channel: RoomChannel;
  readonly #journal: JournalWriter;
  readonly #pending = new Pending();
  readonly #status: StatusBoard;
  readonly #rungs: Rungs;
  readonly #documents: OpenDocuments;
  #leadership: Leadership | undefined;
  #tabs: TabLives | undefined;
  #owner: Owner | undefined;
  #isPaused = false;
  #isClosed = false;

  static async open(env: Environment, options: RuntimeOptions, listener: RoomListener): Promise<RoomRuntime> {
    const { store, config, identity, database } = options;
    // Tabs that have no common storage are replicas of their own, and none of them must wait for another.
    const isShared = options.storage !== 'memory';
    const name = `mangrove:${database}:${config.room.roomId}${isShared ? '' : `:${identity.replica}`}`;
    // Heard before it is read, so that nothing falls between the two.
    const channel = env.openChannel(name);
    const heard: TabNotice[] = [];
    channel.listen((notice) => heard.push(notice));
    try {
      const loaded = await store.transact((tx) => loadRoom(tx, config.room, identity.replica), { mode: 'write' });
      const runtime = new RoomRuntime(env, options, listener, channel, loaded);
      for (const notice of heard) runtime.#heard(notice);
      runtime.#begin(name);
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
    const { store, config, identity, relays } = options;
    const nowMs = (): number => env.clock.nowMs();
    this.#env = env;
    this.#options = options;
    this.#listener = listener;
    this.#room = config.room;
    this.#tab = env.random.u32();
    this.#channel = channel;
    this.#pending.load(loaded);
    this.#pending.heads(loaded.heads);
    this.#status = new StatusBoard(
      {
        ...INITIAL_STATUS,
        connection: relays.length > 0 ? 'offline' : 'none',
        storage: options.storage,
        root: bytesToHex(loaded.root),
        lastSyncedAtMs: loaded.syncedAtMs || null,
        ...loaded.marks,
      },
      this.#pending,
      {
        nowMs,
        tell: (status, metrics) => listener.status(status, metrics),
        changed: (status) => {
          if (this.#owner !== undefined) this.#channel.post({ kind: 'status', status });
          this.#rungs.lookAgain();
        },
      },
    );
    this.#rungs = new Rungs(
      this.#pending,
      relays.length > 0,
      config.limits,
      nowMs,
      () => this.status.sync === 'in-sync',
    );
    this.#documents = new OpenDocuments(listener);
    this.collections = new Collections(store, this.#room, identity.replica, (collection, changes) =>
      listener.changes(collection, changes),
    );
    this.#journal = new JournalWriter(store, this.#room, identity.replica, nowMs, (rows) => this.#journaled(rows), {
      follows: () => this.#owner?.barrier.follows() ?? false,
      passed: async (row) => (await this.#owner?.barrier.passed(row)) ?? false,
    });
    this.#channel.listen((notice) => this.#heard(notice));
  }

  get status(): RoomStatus {
    return this.#status.room;
  }

  async openDocument(id: string): Promise<OpenedDocument> {
    assertName('document', id);
    // Open before reading: what is committed meanwhile is told, and applying it twice changes nothing.
    this.#documents.open(id, this.#keyIdOf(id));
    return openDocument(this.#options.store, this.#room, this.#options.identity.replica, id, this.#env.random.u32());
  }

  closeDocument(id: string): void {
    this.#documents.close(id);
  }

  async edit(id: string, { updates, nonce, clientId, imported: isForeign }: DocumentEdit): Promise<WriteResult> {
    // A clientID that was granted before the profile took another identity is not this replica's.
    const imported =
      isForeign ||
      clientId !== deriveClientId(this.#room.hash, this.#room.roomId, this.#options.identity.replica, nonce);
    const flags = imported ? FLAG.import : 0;
    return this.#write({
      name: documentName(id),
      flags,
      nonces: imported ? [] : [nonce],
      payload: mergeUpdates(updates),
    });
  }

  put(collection: string, id: string, payload: Uint8Array | undefined): Promise<WriteResult> {
    const flags = payload === undefined ? FLAG.tombstone : 0;
    return this.#write({ name: recordName(collection, id), flags, nonces: [], payload: payload ?? new Uint8Array() });
  }

  presence(id: string, state: Uint8Array): void {
    const keyId = this.#keyIdOf(id);
    this.#channel.post({ kind: 'presence', tab: this.#tab, keyId, state });
    this.#owner?.sendPresence(this.#tab, keyId, state);
  }

  async reached(wait: ReachedWait): Promise<void> {
    await this.#rungs.reached(wait, this.#journal.idle());
    this.#status.tellNow();
  }

  /** What was written before is journaled first, or a room that knows nothing of it yet would pass for in sync. */
  async synced(name: number): Promise<void> {
    await this.#rungs.synced(name, this.#journal.idle());
    this.#status.tellNow();
  }

  cancel(name: number): void {
    this.#rungs.cancel(name);
  }

  /** The network, for all tabs of the replica: one of them has the connection. */
  pause(isPaused: boolean): void {
    this.#setPaused(isPaused);
    this.#channel.post({ kind: 'network', paused: isPaused });
  }

  fault(error: ErrorFacts): void {
    this.#status.fault(error);
  }

  storageLost(error: ErrorFacts): void {
    this.#status.set({ storage: 'lost' });
    this.#status.fault(error);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // What the page has handed over is on disk before the tab is gone.
    await this.#journal.idle();
    this.#channel.post({ kind: 'left', tab: this.#tab });
    // What is under way is told to the other tabs before another one takes over.
    await this.#owner?.stop();
    this.#status.close();
    this.#rungs.close(new MangroveError('CLOSED', { what: 'room' }));
    this.#tabs?.close();
    this.#leadership?.release();
    this.#channel.close();
  }

  #begin(name: string): void {
    this.#tabs = new TabLives(
      (lock) => this.#env.lead(lock),
      name,
      this.#tab,
      (tab) => {
        this.#tabEnded(tab);
        this.#readAgainSoon();
      },
    );
    this.#channel.post({ kind: 'arrived' });
    this.#leadership = this.#env.lead(name);
    this.#leadership.acquired
      .then(() => this.#own())
      .catch((error: unknown) => this.#status.fault(errorToFacts(error)));
  }

  /** Once: the owner and the other tabs may both say so. */
  #reopen(spent: ReplicaId): void {
    if (!this.#isClosed && spent === this.#options.identity.replica) this.#options.reopen(spent);
  }

  async #own(): Promise<void> {
    if (this.#isClosed) return;
    this.#owner = new Owner(
      this.#env,
      this.#options,
      {
        status: this.#status,
        token: () => this.#listener.token(),
        tell: (notice) => {
          this.#heard(notice);
          this.#channel.post(notice);
        },
        post: (notice) => this.#channel.post(notice),
        received: ({ keys }) => this.#deliver(keys, 'remote'),
        isKnown: (row) => this.#pending.isKnown(row),
        show: (peer, keyId, state) => this.#documents.showPeer(peer, keyId, state),
        peers: (replica, present) => this.#peers(replica, present),
      },
      this.#isPaused,
    );
    await this.#owner.start();
    this.#channel.post({ kind: 'took-over' });
    await this.#readAgain();
  }

  /** A tab may have ended without telling what it did last: the store knows. */
  async #readAgain(): Promise<void> {
    const { store, identity } = this.#options;
    const loaded = await store.transact((tx) => readRoom(tx, identity.replica), { mode: 'read' });
    if (this.#isClosed) return;
    const unheard = loaded.rows.filter((row) => !this.#pending.isKnown(row.number));
    this.#pending.load(loaded);
    this.#deliver(unheard.map(toReceivedKey), 'tab');
    const root = bytesToHex(loaded.root);
    if (root !== this.status.root) {
      this.#status.set({ root, ...loaded.marks });
      for (const id of this.#documents.names()) {
        const { state } = await openDocument(store, this.#room, identity.replica, id, 0);
        this.#documents.deliver([{ document: id, updates: [state] }]);
      }
    }
    this.#rungs.lookAgain();
    this.#status.touch();
    this.#owner?.poke(loaded.rows.length);
  }

  #readAgainSoon(): void {
    void this.#readAgain().catch((error: unknown) => this.#status.fault(errorToFacts(error)));
  }

  #setPaused(isPaused: boolean): void {
    if (this.#options.relays.length === 0) return;
    this.#isPaused = isPaused;
    this.#owner?.setPaused(isPaused);
  }

  async #write(edit: Edit): Promise<WriteResult> {
    try {
      const row = await this.#journal.append(edit);
      return { row: row.number, version: versionOf(this.#options.identity.replica, row.writtenAt) };
    } catch (error) {
      this.#status.fault(errorToFacts(error));
      throw error;
    } finally {
      // Whoever reads the status right after a write finds the write in it, or why it failed.
      this.#status.tellNow();
    }
  }

  #journaled(rows: readonly JournaledRow[]): void {
    this.#pending.journaled(rows);
    for (const row of rows) this.#pending.receipt(row.number);
    this.collections.changed(rows, 'local');
    this.#channel.post({ kind: 'journaled', rows });
    this.#status.touch();
    this.#owner?.poke(rows.length);
  }

  #deliver(keys: readonly ReceivedKey[], origin: ChangeOrigin): void {
    this.#documents.deliver(keys);
    this.collections.changed(keys, origin);
  }

  #peers(replica: string, present: boolean): void {
    if (present) this.#listener.presenceWanted();
    else this.#listener.peersGone(replica);
  }

  #tabEnded(tab: number): void {
    this.#listener.peersGone(peerOfTab(tab));
    for (const keyId of this.#documents.keyIds()) this.#owner?.sendPresence(tab, keyId, new Uint8Array());
  }

  /** What this tab does about what another one says; the owner tells itself in the same words. */
  #heard(notice: TabNotice): void {
    switch (notice.kind) {
      case 'arrived':
        this.#listener.presenceWanted();
        if (this.#owner !== undefined) this.#channel.post({ kind: 'status', status: this.#status.link });
        return;
      case 'left':
        this.#tabs?.left(notice.tab);
        this.#tabEnded(notice.tab);
        return;
      case 'journaled':
        this.#pending.journaled(notice.rows);
        this.#deliver(notice.rows.map(toReceivedKey), 'tab');
        this.#owner?.poke(notice.rows.length);
        break;
      case 'sealed':
        this.#pending.sealed(notice.deltas);
        break;
      case 'acknowledged':
        this.#pending.acknowledged(notice.seqs);
        break;
      case 'withdrawn':
        this.#pending.withdrawn(notice.seqs, notice.error, notice.rows);
        break;
      case 'heads':
        this.#pending.heads(notice.heads);
        return;
      case 'received':
        this.#deliver(notice.keys, 'remote');
        return;
      case 'status':
        if (this.#owner !== undefined) return;
        this.#isPaused = notice.status.connection === 'paused';
        this.#status.set(notice.status);
        return;
      case 'took-over':
        this.#readAgainSoon();
        return;
      case 'presence':
        this.#tabs?.met(notice.tab);
        this.#documents.showPeer(peerOfTab(notice.tab), notice.keyId, notice.state);
        this.#owner?.sendPresence(notice.tab, notice.keyId, notice.state);
        return;
      case 'peer-presence':
        this.#documents.showPeer(notice.peer, notice.keyId, notice.state);
        return;
      case 'peers':
        this.#peers(notice.replica, notice.present);
        return;
      case 'identity-spent':
        this.#reopen(notice.replica);
        return;
      case 'network':
        this.#setPaused(notice.paused);
        return;
    }
    this.#rungs.lookAgain();
    this.#status.touch();
  }

  #keyIdOf(document: string): KeyId {
    return deriveKeyId(this.#room.hash, this.#room.roomId, documentName(document));
  }
}
