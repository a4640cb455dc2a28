import { bytesToHex } from './bytes.js';

/** The stubs of 256 bodies of eight MiB, or of thousands of small ones. */
const BYTES_MAX = 1024 * 1024;

/**
 * Stubs of large deltas by trie key, so that who offers the same ones over each new connection reads and hashes them once. A trie key
 * names its delta's content, so what is kept cannot be out of date; whether the delta is still held is for the caller to know.
 */
export class StubCache {
  readonly #stubs = new Map<string, Uint8Array>();
  #bytes = 0;

  get(trieKey: Uint8Array): Uint8Array | undefined {
    return this.#stubs.get(bytesToHex(trieKey));
  }

  /** The oldest ones go when there are too many. */
  keep(trieKey: Uint8Array, stub: Uint8Array): void {
    const name = bytesToHex(trieKey);
    if (this.#stubs.has(name)) return;
    this.#stubs.set(name, stub);
    this.#bytes += stub.length;
    for (const [oldest, { length }] of this.#stubs) {
      if (this.#bytes <= BYTES_MAX) return;
      this.#stubs.delete(oldest);
      this.#bytes -= length;
    }
  }
}
