import type { Hash } from './hash.js';

/**
 * A body is hashed, sent and verified in parts of this many bytes, the last one of what is left; an empty body is one empty part [DL2].
 * A protocol constant. A part passes a link of 10 KB/s before anybody takes that link for dead, and a delta of one part, with the largest
 * header there is, fits a frame.
 */
export const PART_BYTES = 65_536;

export function countParts(bodyBytes: number): number {
  return Math.max(1, Math.ceil(bodyBytes / PART_BYTES));
}

/** The bytes of one part, not copied; empty beyond the last. */
export function partOf(body: Uint8Array, index: number): Uint8Array {
  return body.subarray(index * PART_BYTES, (index + 1) * PART_BYTES);
}

/** The length that a part of such a body must have. */
export function partBytesAt(bodyBytes: number, index: number): number {
  return Math.min(PART_BYTES, bodyBytes - index * PART_BYTES);
}

export function hashParts(hash: Hash, body: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: countParts(body.length) }, (_, index) => hash(partOf(body, index)));
}
