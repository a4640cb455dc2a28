import type { Steps, Transaction } from '../store/plan.js';
import { assertCounted, getNodes, keysUnder } from './node-table.js';
import type { InnerNode } from './node.js';
import { childSlot, ROOT_SLOT, slotContains, slotNibble, type Slot } from './slot.js';

/**
 * What a store holds under any slot, also under one where it keeps no node of its own: the trie of the items under a slot
 * does not depend on what else there is, so two stores can compare it wherever either of them has a node.
 */
export type Holding =
  | { readonly kind: 'none' }
  | { readonly kind: 'leaf'; readonly keys: readonly Uint8Array[] }
  | InnerNode;

const NONE: Holding = { kind: 'none' };

/**
 * One read where a node is stored at the slot, else a walk down from the root that ends where the stored trie does, so that a slot
 * which a peer made up costs no more than the depth of the trie. A leaf comes with its keys.
 */
export function* holdingAt(tx: Transaction, slot: Slot): Steps<Holding> {
  let [node] = yield* getNodes(tx, [slot]);
  let at = node === undefined ? ROOT_SLOT : slot;
  if (node === undefined && slot !== ROOT_SLOT) [node] = yield* getNodes(tx, [at]);
  while (node?.kind === 'inner' && !node.prefix.startsWith(slot)) {
    if (!slot.startsWith(node.prefix)) return NONE;
    at = childSlot(node.prefix, slotNibble(slot, node.prefix.length));
    [node] = yield* getNodes(tx, [at]);
  }
  if (node === undefined) return NONE;
  if (node.kind === 'inner') return node;
  const keys = yield* keysUnder(tx, slot);
  // What a peer is told of a leaf has to be what its hash is of, or a hole is never found [AE3].
  if (at === slot) assertCounted(slot, node, keys);
  return leafOf(keys);
}

/** The part of a leaf that lies under a slot. */
export function leafUnder(keys: readonly Uint8Array[], slot: Slot): Holding {
  return leafOf(keys.filter((key) => slotContains(slot, key)));
}

function leafOf(keys: readonly Uint8Array[]): Holding {
  return keys.length === 0 ? NONE : { kind: 'leaf', keys };
}
