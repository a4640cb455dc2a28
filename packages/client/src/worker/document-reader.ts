import { type KeyId, type RoomRef, type Store, together } from '@mangrove/protocol';
import { readUpdates } from './documents.js';

/** Documents that one transaction reads: a body has up to 8 MiB, and all of them are in memory at once. */
const TOGETHER_MAX = 64;

interface Waiting {
  readonly keyId: KeyId;
  readonly resolve: (updates: readonly Uint8Array[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads documents for whoever opens them: what is asked for while one transaction is under way shares the next one. */
export class DocumentReader {
  readonly #store: Store;
  readonly #room: RoomRef;
  #waiting: Waiting[] = [];
  #isReading = false;

  constructor(store: Store, room: RoomRef) {
    this.#store = store;
    this.#room = room;
  }

  /** Everything that was written in the document and not merged away, as of a moment after the call. */
  read(keyId: KeyId): Promise<readonly Uint8Array[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ keyId, resolve, reject });
      if (!this.#isReading) void this.#readAll();
    });
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    while (this.#waiting.length > 0) await this.#readGroup(this.#waiting.splice(0, TOGETHER_MAX));
    this.#isReading = false;
  }

  async #readGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const read = await this.#store.transact(
        (tx) => together(group.map(({ keyId }) => readUpdates(tx, this.#room, keyId))),
        { mode: 'read' },
      );
      for (const [i, { resolve }] of group.entries()) resolve(read[i] as readonly Uint8Array[]);
    } catch (error) {
      const [first, ...others] = group;
      if (others.length === 0) return first?.reject(error);
      // One that cannot be read must not keep the others shut.
      for (const one of group) await this.#readGroup([one]);
    }
  }
}
