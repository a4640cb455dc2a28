import { MangroveError, MemoryStore, RoomHandle, type RoomId, type Store } from '@mangrove/protocol';
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
    const shared = store;
    return new RoomHandle((plan, options) => {
      this.#assertOpen();
      return shared.transact(plan, options);
    });
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
