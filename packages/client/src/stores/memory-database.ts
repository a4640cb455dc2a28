import {
  MangroveError,
  MemoryStore,
  type Plan,
  type RoomId,
  type Store,
  type TransactOptions,
} from '@mangrove/protocol';
import type { Database, StoredIdentity } from './database.js';

/** Where a browser denies storage, and in tests: everything works and lasts as long as the process. */
export class MemoryDatabase implements Database {
  readonly isPersistent = false;
  readonly wasDiscarded = false;
  readonly #stores = new Map<RoomId, MemoryStore>();
  readonly #identities = new Map<RoomId, StoredIdentity>();
  #isClosed = false;

  room(roomId: RoomId): Store {
    let store = this.#stores.get(roomId);
    if (store === undefined) this.#stores.set(roomId, (store = new MemoryStore()));
    return new RoomHandle(store, () => this.#assertOpen());
  }

  async readIdentity(roomId: RoomId): Promise<StoredIdentity | undefined> {
    this.#assertOpen();
    return this.#identities.get(roomId);
  }

  async writeIdentity(roomId: RoomId, identity: StoredIdentity): Promise<void> {
    this.#assertOpen();
    this.#identities.set(roomId, identity);
  }

  async deleteAll(): Promise<void> {
    this.#isClosed = true;
    this.#stores.clear();
    this.#identities.clear();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MangroveError('CLOSED', { what: 'database' });
  }
}

/** Closing one handle must leave the room to the others, so the shared store itself is never closed. */
class RoomHandle implements Store {
  readonly #store: MemoryStore;
  readonly #assertDatabaseOpen: () => void;
  #isClosed = false;

  constructor(store: MemoryStore, assertDatabaseOpen: () => void) {
    this.#store = store;
    this.#assertDatabaseOpen = assertDatabaseOpen;
  }

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    if (this.#isClosed) throw new MangroveError('CLOSED', { what: 'store' });
    this.#assertDatabaseOpen();
    return await this.#store.transact(plan, options);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}
