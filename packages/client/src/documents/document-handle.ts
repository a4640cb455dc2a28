import type { Awareness } from 'y-protocols/awareness';
import * as Y from 'yjs';
import { errorFromFacts, MangroveError } from '@mangrove/protocol';
import { Presence } from '../awareness/presence.js';
import type { Receipt, ReachedOptions } from '../receipt.js';
import type { RoomStatus, Rung } from '../types.js';
import { Versions } from '../versions.js';
import type { DocumentEdit, EngineApi, WriteResult } from '../worker/engine-api.js';
import { updateFault } from './guard.js';
import { takeOut } from './left-out.js';
import { missingIn } from './missing.js';
import { Outgoing } from './outgoing.js';
import { type DocumentProvider, ProviderEmitter } from './provider.js';
import { stateToDoc, updateToRevert } from './revert.js';

/** What a document needs of its room. */
export interface DocumentHost {
  readonly room: string;
  readonly hasRelay: boolean;
  ready(): Promise<void>;
  engine(): EngineApi;
  status(): RoomStatus;
  onStatus(listener: (status: RoomStatus) => void): () => void;
  reached(rung: Rung, options: ReachedOptions): Promise<void>;
  /** What others have of the room is here, and what the worker has is there. */
  synced(): Promise<void>;
  receipt(written: WriteResult): Receipt;
  unjournaled(change: number): void;
  released(): void;
  /** Whether there is a handle of this document. */
  isOpen(): boolean;
}

/**
 * A shared document: a Y.Doc on the page that the worker keeps, merges and syncs. Any Yjs binding takes `ydoc` and `awareness`,
 * or `provider`, unchanged.
 */
export class DocumentHandle {
  readonly name: string;
  readonly ydoc: Y.Doc;
  readonly awareness: Awareness;
  readonly provider: DocumentProvider;
  /** The stored state is in `ydoc`. Edits made before are kept too. */
  readonly ready: Promise<void>;
  /** Earlier states: list, name, view and restore them. */
  readonly versions: Versions<Y.Doc>;
  /** Used by the room. */
  readonly presence: Presence;
  readonly #host: DocumentHost;
  readonly #emitter = new ProviderEmitter();
  readonly #stopListening: () => void;
  readonly #outgoing: Outgoing;
  #granted: { readonly nonce: number; readonly clientId: number } | undefined;
  /** What was handed over last is on disk, and with it all before: rows enter the journal in the order of writing. */
  #isOnDisk = false;
  #retained = 0;
  #isConnected = true;
  #isSynced = false;
  #isReleased = false;
  #providerStatus: 'connected' | 'connecting' | 'disconnected' = 'disconnected';

  constructor(name: string, host: DocumentHost) {
    this.name = name;
    this.#host = host;
    this.ydoc = new Y.Doc();
    this.#outgoing = new Outgoing({
      send: (edit) => this.#send(edit),
      granted: () => this.#granted,
      unjournaled: (change) => host.unjournaled(change),
    });
    this.ydoc.on('update', this.#onUpdate);
    this.presence = new Presence(this.ydoc, {
      send: (state) => {
        if (this.#isConnected) this.#ignoreClosed(this.#host.engine().presence(host.room, name, state));
      },
    });
    this.awareness = this.presence.awareness;
    this.provider = this.#makeProvider();
    this.versions = new Versions({
      room: host.room,
      key: { kind: 'document', collection: '', id: name, resolver: 'lww' },
      engine: () => host.engine(),
      settle: () => this.settle(),
      toState: stateToDoc,
      write: (earlier) => this.import(updateToRevert(this.ydoc, earlier)),
      receipt: (written) => host.receipt(written),
    });
    this.#stopListening = host.onStatus((status) => this.#onStatus(status));
    this.ready = this.#open();
    this.ready.catch(() => {});
  }

  /** Everything written so far in this document has reached the rung. Rejects: `BODY_TOO_LARGE`, once, when something was left out of it. */
  async reached(rung: Rung, options: ReachedOptions = {}): Promise<void> {
    await this.flush();
    // The worker has just said so: asking it again would take a hop more for each keystroke.
    if (this.#isOnDisk && (rung === 'disk' || rung === 'applied') && options.signal?.aborted !== true) return;
    await this.#host.reached(rung, options);
  }

  /** Takes in a foreign Yjs update (format V1), vouched for by this replica. Rejects: `UNDECODABLE`, `BODY_TOO_LARGE`. */
  async import(update: Uint8Array): Promise<Receipt> {
    const fault = updateFault(update, undefined);
    if (fault !== undefined) throw new MangroveError('UNDECODABLE', { replica: 'of the import', reason: fault });
    await this.settle();
    // Kept before it is shown: what turns out to be too large is not there at all.
    const edit = { updates: [update], nonce: 0, clientId: 0, imported: true, isShown: false };
    const written = await this.#host.engine().edit(this.#host.room, this.name, edit);
    Y.applyUpdate(this.ydoc, update, this);
    return this.#host.receipt(written);
  }

  /** Counted: the last close of as many `room.document(name)` calls releases the document. */
  close(): void {
    this.#retained--;
    if (this.#retained <= 0) this.release();
  }

  /** Called by the room: one more holder. */
  retain(): this {
    this.#retained++;
    return this;
  }

  /** Called by the room: what came from elsewhere. */
  receive(updates: readonly Uint8Array[]): void {
    if (this.#isConnected) this.#apply(updates);
  }

  /** Hands over what was typed; resolves when it is on disk, or applied. Rejects when some of it never will be. */
  async flush(): Promise<void> {
    await this.ready;
    await this.#outgoing.flush();
  }

  /** As {@link flush}, for who asks of what is there: that something was left out before is told to others. */
  async settle(): Promise<void> {
    await this.ready;
    await this.#outgoing.settle();
  }

  /** Called by the room when it closes. */
  release(): void {
    if (this.#isReleased) return;
    this.#outgoing.handOver();
    this.presence.stop();
    this.#isReleased = true;
    this.#isOnDisk = false;
    this.#stopListening();
    this.ydoc.off('update', this.#onUpdate);
    this.#host.released();
    this.#ignoreClosed(this.ready.then(() => this.#forget()));
    this.#emitter.clear();
  }

  /** Called by the room when this profile took another identity: what is typed from now on is the new one's. */
  regrant(hasMoved: boolean): void {
    this.#outgoing.handOver();
    const granted = this.ready.then(() => this.#grant());
    this.#ignoreClosed(hasMoved ? granted.then(() => this.#bring()) : granted);
  }

  #apply(updates: readonly Uint8Array[]): void {
    const apply = (): void => {
      for (const update of updates) Y.applyUpdate(this.ydoc, update, this);
    };
    // Not local: bindings and undo managers tell by it what this user has done.
    Y.transact(this.ydoc, apply, this, false);
  }

  async #open(): Promise<void> {
    await this.#host.ready();
    await this.#grant();
    if (this.#isReleased) return;
    this.#onStatus(this.#host.status());
    if (!this.#host.hasRelay) this.#setSynced();
  }

  /** Loads what is stored and takes a clientID of this replica. */
  async #grant(): Promise<void> {
    const { updates, nonce, clientId } = await this.#host.engine().openDocument(this.#host.room, this.name);
    if (this.#isReleased) return;
    this.#apply(updates);
    // After loading: Yjs changes a clientID that it meets in what it loads.
    this.#outgoing.handOver();
    this.#granted = { nonce, clientId };
    this.ydoc.clientID = clientId;
    this.presence.start(clientId);
  }

  /**
   * [JS8] The database failed, and this page may show what was in it alone. First what the relay has is waited for, so that no more than
   * the rest is written once more; until then the page's document is as safe as memory would be.
   */
  async #bring(): Promise<void> {
    this.#host.unjournaled(1);
    try {
      if (this.#host.hasRelay && this.#host.status().storage !== 'indexeddb') await this.#host.synced();
      const { updates } = await this.#host.engine().openDocument(this.#host.room, this.name);
      const update = missingIn(updates, this.ydoc);
      if (update !== undefined)
        await this.#send({ updates: [update], nonce: 0, clientId: 0, imported: true, isShown: true });
    } finally {
      this.#host.unjournaled(-1);
    }
  }

  /** A handle of the same name that was made meanwhile goes on hearing. */
  async #forget(): Promise<void> {
    if (!this.#host.isOpen()) await this.#host.engine().closeDocument(this.#host.room, this.name);
  }

  readonly #onUpdate = (update: Uint8Array, origin: unknown, _: Y.Doc, transaction: Y.Transaction): void => {
    if (origin === this) return;
    // Whatever was not made here under the granted clientID is vouched for as an import: edits before `ready`, foreign updates.
    const imported = !transaction.local || this.ydoc.clientID !== this.#granted?.clientId;
    this.#outgoing.add(update, imported);
  };

  /** Without awaiting where the room is open, so that edits reach the worker before whatever is asked of it next. */
  async #send(edit: DocumentEdit): Promise<MangroveError | undefined> {
    if (this.#granted === undefined) await this.#host.ready();
    this.#isOnDisk = false;
    const { leftOut, rung } = await this.#host.engine().edit(this.#host.room, this.name, edit);
    this.#isOnDisk = rung === 'disk';
    if (leftOut === undefined) return undefined;
    const update = takeOut(this.ydoc, leftOut, this);
    if (update !== undefined) this.#outgoing.add(update, true);
    return errorFromFacts(leftOut.error);
  }

  #makeProvider(): DocumentProvider {
    const { ydoc: doc, awareness } = this;
    const isSynced = (): boolean => this.#isSynced;
    return {
      doc,
      awareness,
      get synced() {
        return isSynced();
      },
      on: (event, listener) => this.#emitter.on(event, listener),
      once: (event, listener) => this.#emitter.once(event, listener),
      off: (event, listener) => this.#emitter.off(event, listener),
      connect: () => this.#setConnected(true),
      disconnect: () => this.#setConnected(false),
      destroy: () => this.close(),
    };
  }

  #setConnected(isConnected: boolean): void {
    if (isConnected === this.#isConnected || this.#isReleased) return;
    if (!isConnected) {
      this.#ignoreClosed(this.#host.engine().presence(this.#host.room, this.name, new Uint8Array()));
      this.presence.gone('all');
    }
    this.#isConnected = isConnected;
    this.#onStatus(this.#host.status());
    if (!isConnected) return;
    this.presence.announce();
    // What was passed over while disconnected is stored: read it again; what is there already changes nothing.
    const read = this.ready.then(() => this.#host.engine().openDocument(this.#host.room, this.name));
    this.#ignoreClosed(read.then(({ updates }) => this.#apply(updates)));
  }

  #onStatus({ connection, sync }: RoomStatus): void {
    const status = !this.#isConnected
      ? 'disconnected'
      : connection === 'connected' || connection === 'connecting'
        ? connection
        : 'disconnected';
    if (status !== this.#providerStatus) {
      this.#providerStatus = status;
      this.#emitter.emit('status', { status });
    }
    if (sync === 'in-sync' && this.#granted !== undefined) this.#setSynced();
  }

  #setSynced(): void {
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#emitter.emit('sync', true);
    this.#emitter.emit('synced', true);
  }

  /** The room may be closed by now, which is no news to a document that is closing. */
  #ignoreClosed(told: Promise<unknown>): void {
    told.catch(() => {});
  }
}
