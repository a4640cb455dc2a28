import { concatBytes } from '../bytes.js';
import type { Hash } from '../hash.js';
import type { Slot } from './slot.js';

/** Bytes of a hash on the wire [MK7]: an accidental collision has the chance 2^-48, and another salt finds it. */
export const CUT_BYTES = 6;

/** Bytes of the id at the end of a trie key [MK1]. */
const ID_BYTES = 32;

/**
 * One thing that a store says of its set or asks for. Slots and prefixes are absolute.
 * - `node`: an inner node as it stands under `slot`; a cut for each bit of `map`, in nibble order.
 * - `list`: all items under `slot`, at most a leaf of them, each by its cut.
 * - `want`: send me everything under `slot`.
 * - `need`: send me the items under `slot` that have these cuts.
 */
export type DiffEntry =
  | {
      readonly kind: 'node';
      readonly slot: Slot;
      readonly prefix: Slot;
      readonly map: number;
      readonly cuts: readonly Uint8Array[];
    }
  | { readonly kind: 'list'; readonly slot: Slot; readonly cuts: readonly Uint8Array[] }
  | { readonly kind: 'want'; readonly slot: Slot }
  | { readonly kind: 'need'; readonly slot: Slot; readonly cuts: readonly Uint8Array[] };

export type DiffEntryOf<Kind extends DiffEntry['kind']> = Extract<DiffEntry, { kind: Kind }>;

/** [SY4] Carries all that is needed to answer it; an answer uses the same salt. */
export interface DiffMessage {
  /** u32; 0 for the first pass, which cuts hashes as they are. */
  readonly salt: number;
  /** The sender's whole root, 32 bytes. */
  readonly root: Uint8Array;
  readonly entries: readonly DiffEntry[];
}

/** [MK7] The first bytes of a node's hash or of an item's id, or of `H(u32 salt • hash)`. */
export function cutHash(hash: Hash, full: Uint8Array, salt: number): Uint8Array {
  return (salt === 0 ? full : hash(concatBytes(u32ToBytes(salt), full))).subarray(0, CUT_BYTES);
}

/**
 * The cut of an item is that of its id. The id is a hash over the header, hence over all of the trie key, so it says as much as
 * `H(0x02 • trieKey)` would and costs nothing on the first pass. An author can grind two ids to one cut (2^24 tries), as with
 * any 48 bits; the salt of the second pass is drawn after the ids are fixed.
 */
export function cutItem(hash: Hash, trieKey: Uint8Array, salt: number): Uint8Array {
  return cutHash(hash, trieKey.subarray(-ID_BYTES), salt);
}

function u32ToBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
