import {
  commitMerged,
  type KeyId,
  type LinkConfig,
  readMergeSources,
  type Store,
  tailBytesWanted,
} from '@mangrove/protocol';
import { updatesToState } from '../documents/merge.js';

/** What comes in a burst is merged once. */
const MERGE_AFTER_MS = 1_000;
const RETRY_AFTER_MS = 30_000;

export interface MergerHost {
  /** 0 until this tab owns the replica. */
  epoch(): number;
  failed(error: unknown): void;
}

/**
 * In a room of full history, where no checkpoint may take the place of anything: keeps what documents come to in one update beside the set, for
 * this replica alone, so that they open as quickly as elsewhere [FH4]. It reads a document when so many bytes have been added as could make
 * that worthwhile.
 */
export class Merger {
  readonly #store: Store;
  readonly #config: LinkConfig;
  readonly #host: MergerHost;
  /** How many more bytes make a look worthwhile; a key that was not looked at yet is not in it. */
  readonly #bytesLeft = new Map<KeyId, number>();
  readonly #timers = new Map<KeyId, ReturnType<typeof setTimeout>>();
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(store: Store, config: LinkConfig, host: MergerHost) {
    this.#store = store;
    this.#config = config;
    this.#host = host;
  }

  /** Deltas of this many bytes were added to a document. */
  added(keyId: KeyId, bytes: number): void {
    const left = (this.#bytesLeft.get(keyId) ?? 0) - bytes;
    this.#bytesLeft.set(keyId, left);
    if (left <= 0) this.#plan(keyId, MERGE_AFTER_MS);
  }

  /** A checkpoint has come, which nobody reads here. */
  disputed(): void {}

  /** It needs nobody to send to. */
  poke(): void {}

  /** Resolves when what is under way is written. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await this.#running;
  }

  #plan(keyId: KeyId, afterMs: number): void {
    if (this.#isStopped || this.#timers.has(keyId)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(keyId);
      this.#running = this.#running
        .then(() => this.#look(keyId))
        .catch((error: unknown) => {
          this.#plan(keyId, RETRY_AFTER_MS);
          this.#host.failed(error);
        });
    }, afterMs);
    this.#timers.set(keyId, timer);
  }

  async #look(keyId: KeyId): Promise<void> {
    const epoch = this.#host.epoch();
    if (this.#isStopped || epoch === 0) return;
    const { room, limits } = this.#config;
    this.#bytesLeft.set(keyId, 0);
    const { sources, tail } = await this.#store.transact((tx) => readMergeSources(tx, room, keyId, limits), {
      mode: 'read',
    });
    let stands = tail;
    if (sources !== undefined) {
      const update = updatesToState(sources.updates);
      const isMerged = await this.#store.transact((tx) => commitMerged(tx, sources, update, epoch), {
        mode: 'write',
        // What a power cut takes of it is merged again from the deltas.
        durability: 'relaxed',
      });
      if (!isMerged) return this.#plan(keyId, MERGE_AFTER_MS);
      stands = { count: 0, bytes: 0, checkpoints: 1, checkpointBytes: update.length };
    }
    const wanted = Math.max(1, tailBytesWanted(stands, limits) - stands.bytes);
    this.#bytesLeft.set(keyId, wanted + (this.#bytesLeft.get(keyId) ?? 0));
  }
}
