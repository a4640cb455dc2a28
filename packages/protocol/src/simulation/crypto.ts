import { concatBytes, equalBytes, utf8ToBytes } from '../bytes.js';
import type { Hash } from '../hash.js';
import type { Random } from './random.js';

/** What a world hashes and signs with, all of it at once: the defaults are fast, a few worlds run on the real ones. */
export interface WorldCrypto {
  readonly hash: Hash;
  /** Makes a key pair from what the world draws, keeps the secret, and returns the 32 bytes that all may know. */
  newKey(random: Random): Uint8Array;
  /** 64 bytes, by the secret of a key that `newKey` made. */
  sign(publicKey: Uint8Array, message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

const TAG = utf8ToBytes('simulated signature');

/**
 * A fast stand-in for SHA-256: 32 well-mixed bytes, no security. A world is about decisions, and real hashes would be most of
 * its time. Source: MurmurHash3 x86_128 by Austin Appleby, finished a second time for the upper half.
 */
export const cheapHash: Hash = (bytes) => {
  const { length } = bytes;
  const lanes = new Uint32Array([0x8855508a, 0xade16ec5, 0x73d57e6a, 0x485dfd0a]);
  for (let at = 0, lane = 0; at < length; at += 4, lane = (lane + 1) & 3) {
    let word =
      (bytes[at] as number) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
    word = Math.imul(word, 0x239b961b);
    word = (word << 15) | (word >>> 17);
    const mixed = (lanes[lane] as number) ^ Math.imul(word, 0xab0e9789);
    lanes[lane] = Math.imul((mixed << 13) | (mixed >>> 19), 5) + (lanes[(lane + 1) & 3] as number) + 0x561ccd1b;
  }
  const hash = new Uint8Array(32);
  const view = new DataView(hash.buffer);
  for (let half = 0; half < 2; half++) {
    for (let round = 0; round < 2; round++) {
      for (let lane = 0; lane < 4; lane++) {
        const mixed = (lanes[lane] as number) ^ length ^ (lanes[(lane + 3) & 3] as number);
        lanes[lane] = finish(mixed + half + lane + 1);
      }
    }
    for (let lane = 0; lane < 4; lane++) view.setUint32(half * 16 + lane * 4, lanes[lane] as number);
  }
  return hash;
};

/** Signs with a keyed hash in place of Ed25519: whoever knows the public key could, and nobody in a world does. */
export function simulatedSign(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = cheapHash(concatBytes(TAG, publicKey, message));
  return concatBytes(half, half);
}

export const cheapCrypto: WorldCrypto = {
  hash: cheapHash,
  newKey: (random) => random.bytes(32),
  sign: simulatedSign,
  verify: (publicKey, message, signature) => equalBytes(simulatedSign(publicKey, message), signature),
};

function finish(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
