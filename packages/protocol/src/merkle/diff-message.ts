import type { Cut } from './cut.js';
import type { Slot } from './slot.js';

/** Bytes of the id at the end of a trie key [MK1]. */
const ID_BYTES = 32;

/**
 * One thing that a store says of its set or asks for. Slots and prefixes are absolute; cuts are u32s [MK7].
 * - `node`: an inner node as it stands under `slot`; a cut for each bit of `map`, in nibble order.
 * - `sum`: how many items are under `slot`, at most a leaf of them, and the exclusive or of their cuts.
 * - `list`: the same items, each by its cut.
 * - `want`: send me everything under `slot`.
 * - `need`: send me the items under `slot` that have these cuts.
 */
export type DiffEntry =
  | {
      readonly kind: 'node';
      readonly slot: Slot;
      readonly prefix: Slot;
      readonly map: number;
      readonly cuts: readonly number[];
    }
  | { readonly kind: 'list'; readonly slot: Slot; readonly cuts: readonly number[] }
  | { readonly kind: 'want'; readonly slot: Slot }
  | { readonly kind: 'need'; readonly slot: Slot; readonly cuts: readonly number[] }
  | { readonly kind: 'sum'; readonly slot: Slot; readonly count: number; readonly sum: number };

export type DiffEntryOf<Kind extends DiffEntry['kind']> = Extract<DiffEntry, { kind: Kind }>;

/** [SY4] Carries all that is needed to answer it; an answer uses the same salt. */
export interface DiffMessage {
  /** 8 bytes. */
  readonly salt: Uint8Array;
  /** The sender's whole root, 32 bytes. */
  readonly root: Uint8Array;
  readonly entries: readonly DiffEntry[];
}

/**
 * The cut of an item is that of its id. The id is a hash over the header, hence over all of the trie key, so it says as much as a hash
 * of the trie key would, and costs none.
 */
export function cutItem(cut: Cut, trieKey: Uint8Array): number {
  return cut(trieKey.subarray(-ID_BYTES));
}

export function cutItems(cut: Cut, trieKeys: readonly Uint8Array[]): number[] {
  return trieKeys.map((key) => cutItem(cut, key));
}

/** Where two sets of cuts differ by one, it is the exclusive or of their sums. */
export function sumCuts(cuts: readonly number[]): number {
  return cuts.reduce((sum, cut) => (sum ^ cut) >>> 0, 0);
}
