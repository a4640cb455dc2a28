import { bytesToHex } from './bytes.js';

/** At four KiB, the stub of the largest body, that is a MiB. */
const STUBS_MAX = 256;

/**
 * Stubs of large deltas by trie key, so that who offers the same ones over each new connection reads and hashes them once. A trie key
 * names its delta's content, so what is kept cannot be out of date; whether the delta is still held is for the caller to know.
 */
export class StubCache {
  readonly #stubs = new Map<string, Uint8Array>();

  get(trieKey: Uint8Array): Uint8Array | undefined {
    return this.#stubs.get(bytesToHex(trieKey));
  }

  /** The oldest one goes when there are too many. */
  keep(trieKey: Uint8Array, stub: Uint8Array): void {
    this.#stubs.set(bytesToHex(trieKey), stub);
    const [oldest] = this.#stubs.keys();
    if (this.#stubs.size > STUBS_MAX) this.#stubs.delete(oldest as string);
  }
}
