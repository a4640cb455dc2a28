import { compareBytes, equalBytes } from '../bytes.js';
import { isMangroveError } from '../errors.js';
import type { Hash } from '../hash.js';
import type { Steps, Transaction } from '../store/plan.js';
import { buildTrie } from './build.js';
import { getNodes, keysUnder } from './node-table.js';
import { childHash, hasChild, type InnerNode, innerNode, type MerkleNode, nodeToBytes } from './node.js';
import { bytesToSlot, childSlot, ROOT_SLOT, type Slot, slotNibble, slotRange, slotToBytes } from './slot.js';

export interface VerifiedPart {
  /** Whether the stored nodes of this part are those that the keys of `deltas` give. */
  readonly isSound: boolean;
  /** Keys that were compared. */
  readonly keys: number;
  /** Where the next part begins; undefined at the end of the trie. */
  readonly next: Uint8Array | undefined;
}

const UNSOUND: VerifiedPart = { isSound: false, keys: 0, next: undefined };

/**
 * Compares the stored nodes with the keys of `deltas` [AE1], one part at a time: the first subtree of at most about `keysMax` items whose
 * keys reach to `from`, and the nodes that lead to it. Parts from the first key to the end are the whole trie.
 *
 * A hash of the stored trie is trusted nowhere: each node is computed anew, from keys or from its children, and no key may lie beside
 * the nodes. Cost: the keys of the part, its nodes, and some 20 short reads a level above it.
 */
export function* verifyTriePart(tx: Transaction, hash: Hash, from: Uint8Array, keysMax: number): Steps<VerifiedPart> {
  try {
    const [root] = yield* getNodes(tx, [ROOT_SLOT]);
    if (root === undefined) return { ...UNSOUND, isSound: (yield* keysUnder(tx, ROOT_SLOT, 1)).length === 0 };
    return yield* verifyUnder(tx, hash, ROOT_SLOT, root, from, keysMax);
  } catch (error) {
    if (isMangroveError(error)) return UNSOUND;
    throw error;
  }
}

/** Deletes those rows of `nodes` among the next `limit` that no node leads to: left there, they would pass for what they once were. */
export function* dropStrayNodes(
  tx: Transaction,
  from: Uint8Array,
  limit: number,
): Steps<{ readonly dropped: number; readonly last: Uint8Array | undefined; readonly rows: number }> {
  const rows = yield* tx.keys('nodes', { from, limit });
  let dropped = 0;
  for (const row of rows) {
    const slot = bytesToSlot(row);
    if (slot !== undefined && (yield* isReached(tx, slot))) continue;
    tx.delete('nodes', row);
    dropped++;
  }
  return { dropped, last: rows.length < limit ? undefined : rows.at(-1), rows: rows.length };
}

function* verifyUnder(
  tx: Transaction,
  hash: Hash,
  slot: Slot,
  node: MerkleNode,
  from: Uint8Array,
  keysMax: number,
): Steps<VerifiedPart> {
  const { to: next } = slotRange(slot);
  if (node.kind === 'leaf' || node.count <= keysMax) {
    const keys = yield* keysUnder(tx, slot, Math.min(node.count, keysMax) + 1);
    return { isSound: yield* isBuiltFrom(tx, hash, node, keys), keys: keys.length, next };
  }
  const children = yield* readChildren(tx, hash, slot, node);
  if (children === undefined) return UNSOUND;
  for (const [child, below] of children) {
    const { to } = slotRange(child);
    if (to === undefined || compareBytes(to, from) > 0)
      return yield* verifyUnder(tx, hash, child, below, from, keysMax);
  }
  return { isSound: true, keys: 0, next };
}

function* isBuiltFrom(tx: Transaction, hash: Hash, top: MerkleNode, keys: readonly Uint8Array[]): Steps<boolean> {
  if (keys.length !== top.count) return false;
  const nodes = [...buildTrie(hash, keys).nodes];
  const stored = yield* tx.getMany(
    'nodes',
    nodes.map(([slot]) => slotToBytes(slot)),
  );
  return nodes.every(([slot, node], i) => {
    // A built trie has its topmost node at the root's slot, wherever that node stands in the stored one.
    const row = slot === ROOT_SLOT ? nodeToBytes(top) : stored[i];
    return row !== undefined && equalBytes(row, nodeToBytes(node));
  });
}

/** The children of a node that is what they make it; undefined where it is not, or where keys lie beside them. */
function* readChildren(
  tx: Transaction,
  hash: Hash,
  slot: Slot,
  node: InnerNode,
): Steps<readonly (readonly [Slot, MerkleNode])[] | undefined> {
  const { count, prefix, map, children } = node;
  if (!prefix.startsWith(slot)) return undefined;
  if (!equalBytes(innerNode(hash, count, prefix, map, children).hash, node.hash)) return undefined;
  if (yield* hasKeysBetween(tx, slotRange(slot).from, slotRange(prefix).from)) return undefined;
  const { to } = slotRange(prefix);
  if (to !== undefined && (yield* hasKeysBetween(tx, to, slotRange(slot).to))) return undefined;
  const found: (readonly [Slot, MerkleNode])[] = [];
  for (let nibble = 0; nibble < 16; nibble++) {
    const child = childSlot(prefix, nibble);
    if (!hasChild(map, nibble)) {
      if ((yield* keysUnder(tx, child, 1)).length > 0) return undefined;
      continue;
    }
    const [below] = yield* getNodes(tx, [child]);
    if (below === undefined || !equalBytes(below.hash, childHash(node, nibble) as Uint8Array)) return undefined;
    found.push([child, below]);
  }
  const isWhole = found.length > 1 && found.reduce((sum, [, below]) => sum + below.count, 0) === count;
  return isWhole ? found : undefined;
}

function* hasKeysBetween(tx: Transaction, from: Uint8Array, to: Uint8Array | undefined): Steps<boolean> {
  if (to !== undefined && compareBytes(from, to) >= 0) return false;
  return (yield* tx.keys('deltas', { from, to, limit: 1 })).length > 0;
}

function* isReached(tx: Transaction, slot: Slot): Steps<boolean> {
  let at = ROOT_SLOT;
  while (at !== slot) {
    const [node] = yield* getNodes(tx, [at]);
    if (node?.kind !== 'inner' || slot.length <= node.prefix.length || !slot.startsWith(node.prefix)) return false;
    const nibble = slotNibble(slot, node.prefix.length);
    if (!hasChild(node.map, nibble)) return false;
    at = childSlot(node.prefix, nibble);
  }
  return true;
}
