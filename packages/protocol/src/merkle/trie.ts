import { assert } from '../assert.js';
import { compareBytes } from '../bytes.js';
import type { Hash } from '../hash.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { buildTrie, isAscending, slotsOf } from './build.js';
import { assertCounted, deleteNode, getNode, getNodes, keysUnder, presentNode, putNode } from './node-table.js';
import { childHash, childNibbles, EMPTY_ROOT, hasChild, innerNode, LEAF_ITEMS_MAX } from './node.js';
import type { InnerNode, MerkleNode } from './node.js';
import {
  bytesToSlot,
  childSlot,
  nibbleAt,
  ROOT_SLOT,
  sharedNibbles,
  slotContains,
  slotNibble,
  type Slot,
} from './slot.js';

export { buildTrie, type BuiltTrie } from './build.js';

export interface TrieRoot {
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly count: number;
}

/** Trie keys that come into the set and that leave it, in any order. */
export interface TrieChanges {
  readonly adds: readonly Uint8Array[];
  readonly removes: readonly Uint8Array[];
}

const KEYS_PER_PAGE = 4_096;

/** The root and the number of items under it; one read. */
export function* readRoot(tx: Transaction): Steps<TrieRoot> {
  const [node] = yield* getNodes(tx, [ROOT_SLOT]);
  return rootOf(node);
}

/**
 * Brings the stored nodes from the present set to the set after the changes.
 *
 * Contract: it is called before the rows of `deltas` are put and deleted in the same transaction, as the items under a
 * slot are the keys of `deltas` plus and minus the changes. `adds` are not in the set yet, `removes` are, no key is given twice
 * (asserted where it is seen). The keys have one length.
 *
 * Cost: reads the nodes on the touched paths and the keys of the touched leaves, about two steps a level for the whole
 * batch; writes each touched node once. Removing so much that a subtree becomes a leaf reads the keys of that subtree.
 */
export function* updateTrie(tx: Transaction, hash: Hash, changes: TrieChanges): Steps<TrieRoot> {
  const [before] = yield* getNodes(tx, [ROOT_SLOT]);
  const sorted = { adds: changes.adds.toSorted(compareBytes), removes: changes.removes.toSorted(compareBytes) };
  assert(isAscending(sorted.adds) && isAscending(sorted.removes), () => 'a trie key is added or removed twice');
  const after = yield* changeNode(tx, hash, ROOT_SLOT, before, sorted);
  replaceNode(tx, ROOT_SLOT, before, after);
  return rootOf(after);
}

/**
 * Computes all nodes anew from the keys of `deltas` and replaces the stored ones: the cure for a damaged index, and what makes
 * the index derived data. Holds all keys in memory; about 0.2 s per 100,000 keys, reads included.
 */
export function* rebuildTrie(tx: Transaction, hash: Hash): Steps<TrieRoot> {
  const { root, count, nodes } = buildTrie(hash, yield* allKeys(tx, 'deltas'));
  for (const bytes of yield* allKeys(tx, 'nodes')) {
    const slot = bytesToSlot(bytes);
    if (slot === undefined || !nodes.has(slot)) tx.delete('nodes', bytes);
  }
  for (const [slot, node] of nodes) putNode(tx, slot, node);
  return { root, count };
}

function* allKeys(tx: Transaction, table: 'deltas' | 'nodes'): Steps<Uint8Array[]> {
  const keys: Uint8Array[] = [];
  let from: Uint8Array = new Uint8Array();
  for (;;) {
    const page = yield* tx.keys(table, { from, limit: KEYS_PER_PAGE });
    for (const key of page) keys.push(key);
    if (page.length < KEYS_PER_PAGE) return keys;
    // The least byte string above the page's last key.
    const last = page[page.length - 1] as Uint8Array;
    from = new Uint8Array(last.length + 1);
    from.set(last);
  }
}

/**
 * The node that stands at a slot after the changes. Everything below it is written; its own row is the caller's, who alone
 * knows whether the node stays at this slot: an only child takes the slot of its parent.
 */
function* changeNode(
  tx: Transaction,
  hash: Hash,
  slot: Slot,
  node: MerkleNode | undefined,
  changes: TrieChanges,
): Steps<MerkleNode | undefined> {
  if (changes.adds.length + changes.removes.length === 0) return node;
  if (node === undefined) return plant(tx, hash, applyChanges([], changes));
  if (node.kind === 'leaf') return yield* replant(tx, hash, slot, node, changes);
  const { prefix } = node;
  const within = { ...changes, adds: changes.adds.filter((key) => slotContains(prefix, key)) };
  const kept = node.count + within.adds.length - within.removes.length;
  if (kept <= LEAF_ITEMS_MAX) return yield* replant(tx, hash, prefix, node, changes);
  const isTouched = within.adds.length + within.removes.length > 0;
  const changed = isTouched ? yield* changeChildren(tx, hash, node, within) : node;
  return graft(
    tx,
    hash,
    changed,
    changes.adds.filter((key) => !slotContains(prefix, key)),
  );
}

/** Builds a subtree anew from its keys: a leaf that changes, or an inner node of which a leaf's worth of items is left. */
function* replant(
  tx: Transaction,
  hash: Hash,
  under: Slot,
  node: MerkleNode,
  changes: TrieChanges,
): Steps<MerkleNode | undefined> {
  const keys = yield* keysUnder(tx, under);
  assertCounted(under, node, keys);
  // The shape follows from the keys, so what was stored below is known without reading it.
  for (const slot of slotsOf(keys)) if (slot !== ROOT_SLOT) deleteNode(tx, slot);
  return plant(tx, hash, applyChanges(keys, changes));
}

/** Writes the trie of some keys but for its topmost node, which is returned. */
function plant(tx: Transaction, hash: Hash, keys: readonly Uint8Array[]): MerkleNode | undefined {
  const { nodes } = buildTrie(hash, keys);
  for (const [slot, node] of nodes) if (slot !== ROOT_SLOT) putNode(tx, slot, node);
  return nodes.get(ROOT_SLOT);
}

/** Changes that all lie under the node's prefix and leave it more than a leaf's worth of items. */
function* changeChildren(tx: Transaction, hash: Hash, node: InnerNode, changes: TrieChanges): Steps<InnerNode> {
  const { prefix } = node;
  const groups = [...groupByNibble(changes, prefix.length)];
  const slots = groups.map(([nibble]) => childSlot(prefix, nibble));
  const stored = yield* getNodes(tx, slots);
  const plans = groups.map(([nibble, group], i) => {
    const slot = slots[i] as Slot;
    const child = hasChild(node.map, nibble) ? presentNode(stored[i], slot) : undefined;
    return changeNode(tx, hash, slot, child, group);
  });
  const changed = yield* together(plans);

  const hashes = new Map(childNibbles(node.map).map((nibble) => [nibble, childHash(node, nibble) as Uint8Array]));
  for (const [i, [nibble]] of groups.entries()) {
    const child = changed[i];
    replaceNode(tx, slots[i] as Slot, stored[i], child);
    if (child === undefined) hashes.delete(nibble);
    else hashes.set(nibble, child.hash);
  }
  const nibbles = [...hashes.keys()].sort((a, b) => a - b);
  if (nibbles.length === 1) return yield* liftOnlyChild(tx, childSlot(prefix, nibbles[0] as number));
  const map = nibbles.reduce((bits, nibble) => bits | (1 << nibble), 0);
  const children = nibbles.map((nibble) => hashes.get(nibble) as Uint8Array);
  return innerNode(hash, node.count + changes.adds.length - changes.removes.length, prefix, map, children);
}

/** An inner node with one child is no node: the child stands in its place, under the slot of its parent. */
function* liftOnlyChild(tx: Transaction, slot: Slot): Steps<InnerNode> {
  const child = yield* getNode(tx, slot);
  assert(
    child.kind === 'inner',
    () => `the only child at slot "${slot}" of more than ${LEAF_ITEMS_MAX} items is a leaf`,
  );
  deleteNode(tx, slot);
  return child;
}

/** The node above `node` and keys that lie outside of its prefix: they part where they first differ, perhaps repeatedly. */
function graft(tx: Transaction, hash: Hash, node: InnerNode, keys: readonly Uint8Array[]): InnerNode {
  if (keys.length === 0) return node;
  const depth = Math.min(
    ...[keys[0], keys[keys.length - 1]].map((key) => sharedNibbles(node.prefix, key as Uint8Array)),
  );
  const prefix = node.prefix.slice(0, depth) as Slot;
  const groups = groupByNibble({ adds: keys, removes: [] }, depth);
  const nodeNibble = slotNibble(node.prefix, depth);
  let map = 0;
  const children: Uint8Array[] = [];
  for (let nibble = 0; nibble < 16; nibble++) {
    const adds = groups.get(nibble)?.adds ?? [];
    const child = nibble === nodeNibble ? graft(tx, hash, node, adds) : plant(tx, hash, adds);
    if (child === undefined) continue;
    putNode(tx, childSlot(prefix, nibble), child);
    map |= 1 << nibble;
    children.push(child.hash);
  }
  return innerNode(hash, node.count + keys.length, prefix, map, children);
}

function replaceNode(tx: Transaction, slot: Slot, before: MerkleNode | undefined, after: MerkleNode | undefined): void {
  if (after !== undefined) putNode(tx, slot, after);
  else if (before !== undefined) deleteNode(tx, slot);
}

function applyChanges(keys: readonly Uint8Array[], { adds, removes }: TrieChanges): Uint8Array[] {
  let next = 0;
  const kept = keys.filter((key) => {
    const isRemoved = next < removes.length && compareBytes(key, removes[next] as Uint8Array) === 0;
    if (isRemoved) next++;
    return !isRemoved;
  });
  assert(next === removes.length, () => `${removes.length - next} trie keys that are removed are not in the set`);
  return adds.length === 0 ? kept : [...kept, ...adds].sort(compareBytes);
}

function groupByNibble(
  { adds, removes }: TrieChanges,
  depth: number,
): Map<number, { adds: Uint8Array[]; removes: Uint8Array[] }> {
  const groups = new Map<number, { adds: Uint8Array[]; removes: Uint8Array[] }>();
  const groupOf = (key: Uint8Array) => {
    const nibble = nibbleAt(key, depth);
    let group = groups.get(nibble);
    if (group === undefined) groups.set(nibble, (group = { adds: [], removes: [] }));
    return group;
  };
  for (const key of adds) groupOf(key).adds.push(key);
  for (const key of removes) groupOf(key).removes.push(key);
  return groups;
}

function rootOf(node: MerkleNode | undefined): TrieRoot {
  return node === undefined ? { root: EMPTY_ROOT, count: 0 } : { root: node.hash, count: node.count };
}
