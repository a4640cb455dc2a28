import { concatBytes, utf8ToBytes } from '../bytes.js';
import { HASH_BYTES, type Hash } from '../hash.js';

/** Bytes of a hash on the wire [MK7]. */
export const CUT_BYTES = 4;
/** Drawn anew for each pass by whoever opens it. */
export const SALT_BYTES = 8;

const DOMAIN = utf8ToBytes('mangrove:cut:1');
/** The largest prime below 2^32, so that a cut fits into a u32. */
const PRIME = 4_294_967_291;
const WORDS = HASH_BYTES / 2;

/** What stands for a 32-byte hash in one pass: a u32. */
export type Cut = (full: Uint8Array) => number;

/**
 * [MK7] The cuts of one salt: `Σ k_i × x_i mod (2^32 − 5)` over the 16 words of 16 bits, with 16 keys of 32 bits from `H(domain • salt • 0)`
 * and `H(domain • salt • 1)`.
 *
 * A universal family, so whichever two hashes there are, however they were ground: for a salt drawn after them they have one cut with a
 * chance of at most 2^-31. That needs no collision resistance, and costs a twentieth of a SHA-256. No sum leaves 2^53.
 * Source: Carter and Wegman 1979.
 */
export function makeCut(hash: Hash, salt: Uint8Array): Cut {
  const halves = [0, 1].map((half) => hash(concatBytes(DOMAIN, salt, Uint8Array.of(half))));
  const keys = Float64Array.from({ length: WORDS }, (_, i) => u32At(halves[i >>> 3] as Uint8Array, (i & 7) * 4));
  return (full) => {
    let sum = 0;
    for (let i = 0; i < WORDS; i++) {
      sum += (keys[i] as number) * (((full[2 * i] as number) << 8) | (full[2 * i + 1] as number));
    }
    return sum % PRIME;
  };
}

function u32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}
