/**
 * SHA-256 as a synchronous port: an await inside an IndexedDB transaction ends it, so WebCrypto cannot serve here.
 * Implementations: @noble/hashes in the browser, node:crypto at the relay.
 */
export type Hash = (bytes: Uint8Array) => Uint8Array;

export const HASH_BYTES = 32;
