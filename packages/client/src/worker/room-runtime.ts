import {
  assertName,
  type BuiltInResolver,
  bytesToHex,
  type Delta,
  deriveKeyId,
  type Edit,
  type ErrorFacts,
  errorToFacts,
  FLAG,
  type KeyId,
  type JournalRow,
  type LinkConfig,
  MangroveError,
  nextEpoch,
  type Peer,
  type Presence,
  type Refused,
  type ReplicaState,
  type RoomRef,
  type Store,
  type Value,
} from '@mangrove/protocol';
import type { Environment, Identity } from '../environment.js';
import { mergeUpdates } from '../documents/merge.js';
import type { Leadership } from '../tabs/leadership.js';
import type { HeadSeq, JournaledRow, ReceivedKey, RoomChannel, SealedRows, TabNotice } from '../tabs/room-channel.js';
import type { EntriesOptions, Entry, RoomStatus } from '../types.js';
import { documentName, type OpenedDocument, openDocument } from './documents.js';
import type { DocumentEdit, ReachedWait, RoomListener, WriteResult } from './engine-api.js';
import { JournalWriter, toNotice } from './journal-writer.js';
import { loadRoom } from './load.js';
import { Pending } from './pending.js';
import type { Received } from './receive.js';
import { readEntries, readRecord, recordName, versionOf } from './records.js';
import { ReplicaLink } from './replica-link.js';
import { Rungs } from './rungs.js';
import { Sealer } from './sealer.js';
import { connectionOf, INITIAL_STATUS, lastErrorOf, type LinkStatus, roomStatus } from './status.js';
import { Watchers } from './watchers.js';

/** How long a refused delta's content waits before it is sealed anew. */
const HOLD_AHEAD_MS = 10_000;
const HOLD_REFUSED_MS = 60_000;

export interface RoomRuntimeOptions {
  readonly room: string;
  readonly relays: readonly string[];
  readonly config: LinkConfig;
  readonly identity: Identity;
  readonly store: Store;
  readonly storage: RoomStatus['storage'];
  /** The database's name: tabs that share it share the replica. */
  readonly database: string;
}

/**
 * One room in one tab's worker. Every tab journals and reads; the tab that owns the replica also seals, sends and receives, and
 * tells the others. This class only connects the parts: each decision has a file of its own.
 */
export class RoomRuntime {
  readonly #env: Environment;
  readonly #options: RoomRuntimeOptions;
  readonly #listener: RoomListener;
  readonly #ref: RoomRef;
  readonly #tab: number;
  readonly #channel: RoomChannel;
  readonly #leadership: Leadership;
  readonly #journal: JournalWriter;
  readonly #pending = new Pending();
  readonly #rungs: Rungs;
  readonly #watchers: Watchers;
  readonly #openDocuments = new Map<string, KeyId>();
  readonly #link: ReplicaLink;
  readonly #sealer: Sealer;
  #status: LinkStatus;
  #epoch = 0;
  #isOwner = false;
  #isPaused = false;
  #isTrying = false;
  #isClosed = false;
  #statusTold = false;

  static async open(env: Environment, options: RoomRuntimeOptions, listener: RoomListener): Promise<RoomRuntime> {
    const loaded = await options.store.transact((tx) => loadRoom(tx, options.identity.replica), { mode: 'read' });
    const runtime = new RoomRuntime(env, options, listener);
    runtime.#pending.load(loaded.rows, loaded.outbox, loaded.seq);
    runtime.#pending.heads(loaded.heads);
    runtime.#status = {
      ...runtime.#status,
      root: bytesToHex(loaded.root),
      lastSyncedAtMs: loaded.syncedAtMs || null,
      quarantined: loaded.quarantined,
    };
    runtime.#begin();
    return runtime;
  }

  private constructor(env: Environment, options: RoomRuntimeOptions, listener: RoomListener) {
    const { store, config, identity, database, relays } = options;
    this.#env = env;
    this.#options = options;
    this.#listener = listener;
    this.#ref = config.room;
    this.#tab = env.random.u32();
    this.#status = { ...INITIAL_STATUS, connection: relays.length > 0 ? 'offline' : 'none', storage: options.storage };
    const name = `mangrove:${database}:${this.#ref.roomId}`;
    this.#channel = env.openChannel(name);
    this.#leadership = env.lead(name);
    this.#rungs = new Rungs(
      this.#pending,
      relays.length > 0,
      config.limits,
      () => env.clock.nowMs(),
      () => this.status.sync === 'in-sync',
    );
    this.#watchers = new Watchers(store, this.#ref, identity.replica, (collection, changes) =>
      listener.changes(collection, changes),
    );
    this.#journal = new JournalWriter(
      store,
      this.#ref,
      () => env.clock.nowMs(),
      (rows) => this.#journaled(rows),
    );
    this.#sealer = new Sealer(env, store, this.#ref, identity, {
      canSeal: () => this.#isOwner && this.#link.canPush,
      epoch: () => this.#epoch,
      sealed: (deltas, rows, root) => this.#sealed(deltas, rows, root),
      failed: (error) => this.#fault(errorToFacts(error)),
    });
    this.#link = new ReplicaLink(env, store, identity, config, {
      token: () => listener.token(),
      received: (received) => this.#received(received),
      acknowledged: (seqs) => this.#tell({ kind: 'acknowledged', seqs }),
      withdrawn: (refused, rows) => this.#withdrawn(refused, rows),
      head: (statement) =>
        this.#heads([
          { replica: statement.replica, seq: statement.vector.get(identity.replica) ?? 0, timeMs: statement.timeMs },
        ]),
      show: (message) => this.#show(message),
      fault: (error) => this.#fault(error),
      changed: (state, root) => this.#linkChanged(state, root),
    });
  }

  get status(): RoomStatus {
    return roomStatus(this.#status, this.#pending.summary(this.#env.clock.nowMs()));
  }

  async openDocument(id: string): Promise<OpenedDocument> {
    assertName('document', id);
    // Open before reading: what is committed meanwhile is told, and applying it twice changes nothing.
    this.#openDocuments.set(id, deriveKeyId(this.#ref.hash, this.#ref.roomId, documentName(id)));
    return openDocument(this.#options.store, this.#ref, this.#options.identity.replica, id, this.#env.random.u32());
  }

  closeDocument(id: string): void {
    this.#openDocuments.delete(id);
  }

  async edit(id: string, { updates, nonce, imported }: DocumentEdit): Promise<WriteResult> {
    const flags = imported ? FLAG.import : 0;
    const payload = mergeUpdates(updates);
    const { bodyBytesMax, nameBytesMax } = this.#options.config.limits;
    // Refused here, before it is journaled: it could never be sealed.
    if (payload.length > bodyBytesMax - 2 * nameBytesMax) {
      const error = new MangroveError('BODY_TOO_LARGE', { bodyBytes: payload.length, bodyBytesMax });
      this.#fault(errorToFacts(error));
      throw error;
    }
    return this.#write({ name: documentName(id), flags, nonces: imported ? [] : [nonce], payload });
  }

  put(collection: string, id: string, payload: Uint8Array | undefined): Promise<WriteResult> {
    const flags = payload === undefined ? FLAG.tombstone : 0;
    return this.#write({ name: recordName(collection, id), flags, nonces: [], payload: payload ?? new Uint8Array() });
  }

  get(collection: string, id: string, resolver: BuiltInResolver): Promise<Entry<Value> | undefined> {
    const { store, identity } = this.#options;
    return store.transact((tx) => readRecord(tx, this.#ref, identity.replica, recordName(collection, id), resolver), {
      mode: 'read',
    });
  }

  entries(
    collection: string,
    resolver: BuiltInResolver,
    options: EntriesOptions,
  ): Promise<readonly (readonly [string, Entry<Value>])[]> {
    const { store, identity } = this.#options;
    return store.transact((tx) => readEntries(tx, this.#ref, identity.replica, collection, resolver, options), {
      mode: 'read',
    });
  }

  watch(collection: string, resolver: BuiltInResolver): void {
    this.#watchers.watch(collection, resolver);
  }

  presence(id: string, state: Uint8Array): void {
    const keyId = deriveKeyId(this.#ref.hash, this.#ref.roomId, documentName(id));
    this.#channel.post({ kind: 'presence', tab: this.#tab, keyId, state });
    if (this.#isOwner) this.#sendPresence(this.#tab, keyId, state);
  }

  async reached(wait: ReachedWait): Promise<void> {
    await this.#journal.idle();
    await this.#rungs.reached(wait);
  }

  /** What was written before is journaled first, or a room that knows nothing of it yet would pass for in sync. */
  async synced(name: number): Promise<void> {
    await this.#journal.idle();
    await this.#rungs.synced(name);
  }

  cancel(name: number): void {
    this.#rungs.cancel(name);
  }

  /** The network, for all tabs of the replica: one of them has the connection. */
  pause(paused: boolean): void {
    this.#setPaused(paused);
    this.#channel.post({ kind: 'network', paused });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#channel.post({ kind: 'left', tab: this.#tab });
    this.#link.stop();
    this.#sealer.stop();
    this.#rungs.close(new MangroveError('CLOSED', { what: 'room' }));
    this.#leadership.release();
    this.#channel.close();
  }

  #begin(): void {
    this.#channel.listen((notice) => this.#heard(notice));
    this.#channel.post({ kind: 'arrived' });
    this.#leadership.acquired.then(() => this.#own()).catch((error: unknown) => this.#fault(errorToFacts(error)));
  }

  /** This tab is the owner from now on; an older one that thaws finds its epoch gone and writes nothing [JS3]. */
  async #own(): Promise<void> {
    if (this.#isClosed) return;
    this.#epoch = await this.#options.store.transact(nextEpoch, { mode: 'write', durability: 'strict' });
    this.#isOwner = true;
    if (!this.#isPaused) this.#connect();
    else this.#setStatus({ connection: 'paused' });
  }

  #connect(): void {
    const { relays, room } = this.#options;
    if (relays.length === 0 || this.#isClosed) return;
    this.#link.start(relays, room, (isTrying) => {
      this.#isTrying = isTrying;
      this.#linkChanged(this.#link.state, undefined);
    });
  }

  #setPaused(paused: boolean): void {
    if (this.#options.relays.length === 0 || paused === this.#isPaused) return;
    this.#isPaused = paused;
    if (!this.#isOwner) return;
    if (paused) this.#link.stop();
    else this.#connect();
    this.#linkChanged(this.#link.state, undefined);
  }

  async #write(edit: Edit): Promise<WriteResult> {
    try {
      const row = await this.#journal.append(edit);
      return { row: row.number, version: versionOf(this.#options.identity.replica, row.writtenAt) };
    } catch (error) {
      this.#fault(errorToFacts(error));
      throw error;
    }
  }

  #journaled(rows: readonly JournaledRow[]): void {
    this.#pending.journaled(rows);
    for (const row of rows) this.#pending.receipt(row.number);
    this.#watchers.changed(rows, 'local');
    this.#channel.post({ kind: 'journaled', rows });
    this.#tellStatus();
    this.#sealer.poke();
  }

  #sealed(deltas: readonly Delta[], rows: readonly SealedRows[], root: Uint8Array): void {
    this.#tell({ kind: 'sealed', deltas: rows });
    this.#setStatus({ root: bytesToHex(root), settled: false });
    this.#link.post({ kind: 'sealed', deltas: deltas.map((delta) => delta.bytes) });
  }

  #received({ standing, keys, rejected, faults }: Received): void {
    this.#deliver(keys, 'remote');
    if (keys.length > 0) this.#channel.post({ kind: 'received', keys });
    for (const fault of faults) this.#fault(fault);
    const quarantined =
      this.#status.quarantined +
      rejected.length +
      faults.filter(({ code }) => code === 'UNDECODABLE' || code === 'NOT_SUPPORTED').length;
    for (const { delta } of rejected)
      this.#fault(errorToFacts(new MangroveError('SIGNATURE_INVALID', { replica: delta.replica })));
    this.#setStatus({ root: bytesToHex(standing.root), quarantined });
  }

  #deliver(keys: readonly ReceivedKey[], origin: 'remote' | 'tab'): void {
    for (const { document, updates } of keys) {
      if (document !== undefined && updates.length > 0 && this.#openDocuments.has(document))
        this.#listener.updates(document, updates);
    }
    this.#watchers.changed(keys, origin);
  }

  /** The content is in the journal again; sealing it at once would only be refused again. */
  #withdrawn(refused: Refused, rows: readonly JournalRow[]): void {
    const { replica, seq, code, facts } = refused;
    const error = errorToFacts(new MangroveError(code, { ...facts, replica, seq }));
    this.#fault(error);
    if (rows.length === 0) return;
    this.#sealer.hold(code === 'CLOCK_AHEAD' ? HOLD_AHEAD_MS : HOLD_REFUSED_MS);
    this.#tell({ kind: 'withdrawn', seqs: [seq], error, rows: rows.map(toNotice) });
  }

  #heads(heads: readonly HeadSeq[]): void {
    this.#tell({ kind: 'heads', heads });
  }

  #show(message: Presence | Peer): void {
    if (message.kind === 'presence') {
      const peer = `${message.replica}-${message.tab}`;
      this.#peerPresence(peer, message.keyId, message.state);
      this.#channel.post({ kind: 'peer-presence', peer, keyId: message.keyId, state: message.state });
      return;
    }
    this.#peers(message.replica, message.present);
    this.#channel.post({ kind: 'peers', replica: message.replica, present: message.present });
  }

  #peers(replica: string, present: boolean): void {
    if (present) this.#listener.presenceWanted();
    else this.#listener.peersGone(replica);
  }

  #peerPresence(peer: string, keyId: KeyId, state: Uint8Array): void {
    for (const [document, openKeyId] of this.#openDocuments) {
      if (openKeyId === keyId) this.#listener.peerPresence(document, peer, state.length === 0 ? undefined : state);
    }
  }

  #sendPresence(tab: number, keyId: KeyId, state: Uint8Array): void {
    this.#link.sendPresence({ kind: 'presence', replica: this.#options.identity.replica, tab, keyId, state });
  }

  #linkChanged(state: ReplicaState, root: Uint8Array | undefined): void {
    const before = this.#status.connection;
    const network = { isPaused: this.#isPaused, isTrying: this.#isTrying };
    const connection = this.#options.relays.length === 0 ? 'none' : connectionOf(state, network);
    const settled = state.kind === 'live' && state.settled;
    const lastSyncedAtMs = settled ? this.#env.clock.nowMs() : this.#status.lastSyncedAtMs;
    // A synced moment of the past that moves on is no news; the status is told for what changed.
    const isNews = settled !== this.#status.settled || connection !== before || root !== undefined;
    if (isNews)
      this.#setStatus({
        connection,
        settled,
        lastSyncedAtMs,
        ...(root === undefined ? {} : { root: bytesToHex(root) }),
      });
    if (connection === before) return;
    if (connection === 'connected') {
      this.#peers('all', true);
      this.#channel.post({ kind: 'peers', replica: 'all', present: true });
      this.#sealer.poke();
    } else if (before === 'connected') {
      this.#peers('all', false);
      this.#channel.post({ kind: 'peers', replica: 'all', present: false });
    }
  }

  #fault(error: ErrorFacts): void {
    this.#setStatus({ lastError: lastErrorOf(error, this.#env.clock.nowMs()) });
  }

  storageLost(error: ErrorFacts): void {
    this.#setStatus({ storage: 'lost', lastError: lastErrorOf(error, this.#env.clock.nowMs()) });
  }

  /** To this tab and to all others, in the same words. */
  #tell(notice: TabNotice): void {
    this.#heard(notice);
    this.#channel.post(notice);
  }

  #heard(notice: TabNotice): void {
    switch (notice.kind) {
      case 'arrived':
        this.#listener.presenceWanted();
        if (this.#isOwner) this.#channel.post({ kind: 'status', status: this.#status });
        return;
      case 'left':
        this.#listener.peersGone(this.#peerOfTab(notice.tab));
        if (this.#isOwner)
          for (const keyId of this.#openDocuments.values()) this.#sendPresence(notice.tab, keyId, new Uint8Array());
        return;
      case 'journaled':
        this.#pending.journaled(notice.rows);
        this.#deliver(
          notice.rows.map((row) => ({ ...row, updates: row.update === undefined ? [] : [row.update] })),
          'tab',
        );
        this.#tellStatus();
        if (this.#isOwner) this.#sealer.poke();
        return;
      case 'sealed':
        this.#pending.sealed(notice.deltas);
        this.#tellStatus();
        return;
      case 'acknowledged':
        this.#pending.acknowledged(notice.seqs);
        this.#tellStatus();
        return;
      case 'withdrawn':
        this.#pending.withdrawn(notice.seqs, notice.error);
        this.#pending.journaled(notice.rows);
        this.#tellStatus();
        return;
      case 'received':
        this.#deliver(notice.keys, 'remote');
        return;
      case 'status':
        if (!this.#isOwner) this.#status = notice.status;
        this.#tellStatus();
        return;
      case 'heads':
        this.#pending.heads(notice.heads);
        return;
      case 'presence':
        this.#peerPresence(this.#peerOfTab(notice.tab), notice.keyId, notice.state);
        if (this.#isOwner) this.#sendPresence(notice.tab, notice.keyId, notice.state);
        return;
      case 'peer-presence':
        this.#peerPresence(notice.peer, notice.keyId, notice.state);
        return;
      case 'peers':
        this.#peers(notice.replica, notice.present);
        return;
      case 'network':
        this.#setPaused(notice.paused);
        return;
    }
  }

  #peerOfTab(tab: number): string {
    return `tab-${tab}`;
  }

  #setStatus(change: Partial<LinkStatus>): void {
    this.#status = { ...this.#status, ...change };
    if (this.#isOwner) this.#channel.post({ kind: 'status', status: this.#status });
    this.#tellStatus();
  }

  /** At most one status in a turn of the event loop: a keystroke changes it several times. */
  #tellStatus(): void {
    this.#rungs.lookAgain();
    if (this.#statusTold) return;
    this.#statusTold = true;
    setTimeout(() => {
      this.#statusTold = false;
      if (!this.#isClosed) this.#listener.status(this.status);
    });
  }
}
