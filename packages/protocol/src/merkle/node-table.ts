import { MangroveError } from '../errors.js';
import type { Steps, Transaction } from '../store/plan.js';
import { bytesToNode, hasChild, nodeToBytes, type MerkleNode } from './node.js';
import { childSlot, nibbleAt, ROOT_SLOT, slotContains, slotRange, slotToBytes, type Slot } from './slot.js';

/** The stored trie: nodes in `nodes` under their slots [MK4], items as the keys of `deltas` [MK1]. */

/** Nodes in the order of `slots`, read in one step; undefined where none is stored. */
export function* getNodes(tx: Transaction, slots: readonly Slot[]): Steps<(MerkleNode | undefined)[]> {
  const rows = yield* tx.getMany('nodes', slots.map(slotToBytes));
  return rows.map((row) => (row === undefined ? undefined : bytesToNode(row)));
}

/** Throws `INTERNAL` when there is none although its parent says so: the index is damaged and wants `rebuildTrie`. */
export function* getNode(tx: Transaction, slot: Slot): Steps<MerkleNode> {
  const [node] = yield* getNodes(tx, [slot]);
  return presentNode(node, slot);
}

/** Throws `INTERNAL` like `getNode`. */
export function presentNode(node: MerkleNode | undefined, slot: Slot): MerkleNode {
  if (node === undefined)
    throw new MangroveError('INTERNAL', { reason: `the Merkle node at slot "${slot}" is missing` });
  return node;
}

/** Throws `INTERNAL` when other items are there than a node counts: one of the two is damaged. */
export function assertCounted(slot: Slot, { count }: MerkleNode, keys: readonly Uint8Array[]): void {
  if (keys.length === count) return;
  const reason = `${keys.length} deltas on disk at slot "${slot}" where the Merkle node counts ${count}`;
  throw new MangroveError('INTERNAL', { reason });
}

/**
 * Throws `INTERNAL` when something that begins with `keyPrefix` may be missing from the disk: other items are there than their node counts. Reads a
 * node a level, then the keys of one leaf or of the whole key.
 */
export function* assertWhole(tx: Transaction, keyPrefix: Uint8Array): Steps<void> {
  let slot: Slot = ROOT_SLOT;
  let [node] = yield* getNodes(tx, [slot]);
  while (node?.kind === 'inner' && node.prefix.length < 2 * keyPrefix.length) {
    if (!slotContains(node.prefix, keyPrefix)) return;
    const nibble = nibbleAt(keyPrefix, node.prefix.length);
    if (!hasChild(node.map, nibble)) return;
    slot = childSlot(node.prefix, nibble);
    node = yield* getNode(tx, slot);
  }
  if (node !== undefined) assertCounted(slot, node, yield* keysUnder(tx, slot));
}

export function putNode(tx: Transaction, slot: Slot, node: MerkleNode): void {
  tx.put('nodes', slotToBytes(slot), nodeToBytes(node));
}

export function deleteNode(tx: Transaction, slot: Slot): void {
  tx.delete('nodes', slotToBytes(slot));
}

/** Trie keys under a slot, ascending, read in one step. */
export function keysUnder(tx: Transaction, slot: Slot, limit?: number): Steps<readonly Uint8Array[]> {
  return tx.keys('deltas', { ...slotRange(slot), limit });
}
