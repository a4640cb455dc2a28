import { equalBytes } from '../bytes.js';
import { HASH_BYTES, type Hash } from '../hash.js';
import type { Steps, Transaction } from '../store/plan.js';
import { buildTrie, isAscending } from './build.js';
import { getNode, getNodes, keysUnder } from './node-table.js';
import { childIndex, countChildren, hasChild, innerNode, LEAF_ITEMS_MAX } from './node.js';
import type { InnerNode } from './node.js';
import type { MerkleProof, ProofEnd, ProofStep } from './proof-codec.js';
import { childSlot, isSlot, nibbleAt, ROOT_SLOT, sharedNibbles, slotContains, type Slot } from './slot.js';

export { bytesToProof, proofToBytes, type MerkleProof, type ProofEnd, type ProofStep } from './proof-codec.js';

/** That an item is in the set; undefined when it is not. Reads a node a level, then one leaf. */
export function* proveInclusion(tx: Transaction, trieKey: Uint8Array): Steps<MerkleProof | undefined> {
  const proof = yield* proveKey(tx, trieKey);
  const isHeld = proof.end.kind === 'items' && proof.end.keys.some((key) => equalBytes(key, trieKey));
  return isHeld ? proof : undefined;
}

/**
 * That the items whose trie keys begin with `keyPrefix` are all there are, or that there are none. For the key of a delta the prefix
 * is its 16 bytes of keyId. Reads a node a level, then the keys of one leaf or of the whole key.
 */
export function* proveKey(tx: Transaction, keyPrefix: Uint8Array): Steps<MerkleProof> {
  const steps: ProofStep[] = [];
  let slot: Slot = ROOT_SLOT;
  let [node] = yield* getNodes(tx, [slot]);
  while (node?.kind === 'inner' && node.prefix.length < 2 * keyPrefix.length) {
    const { count, prefix, map, children } = node;
    const nibble = slotContains(prefix, keyPrefix) ? nibbleAt(keyPrefix, prefix.length) : -1;
    if (nibble < 0 || !hasChild(map, nibble)) return { steps, end: forkOf(node) };
    steps.push({ count, prefix, map, siblings: children.toSpliced(childIndex(map, nibble), 1) });
    slot = childSlot(prefix, nibble);
    node = yield* getNode(tx, slot);
  }
  if (node?.kind === 'inner' && sharedNibbles(node.prefix, keyPrefix) < 2 * keyPrefix.length) {
    return { steps, end: forkOf(node) };
  }
  return { steps, end: { kind: 'items', keys: node === undefined ? [] : yield* keysUnder(tx, slot) } };
}

function forkOf({ count, prefix, map, children }: InnerNode): ProofEnd {
  return { kind: 'fork', count, prefix, map, children };
}

/** [MK6] Whether the proof shows that `trieKey` is in the set with this root. Never throws. */
export function verifyInclusion(hash: Hash, root: Uint8Array, trieKey: Uint8Array, proof: MerkleProof): boolean {
  return verifyWholeKey(hash, root, trieKey, proof)?.length === 1;
}

/**
 * [MK6] The trie keys that begin with `keyPrefix` in the set with this root, all of them and in order; undefined when the proof does
 * not show it. Never throws.
 *
 * It accepts the canonical shape alone: prefixes lie under their slots, an inner node has more than 32 items and at least two
 * children, counts fall on the way down by at least one a sibling, keys are in order and under their slot, and what is under
 * the end is hashed anew from the keys. What siblings hold stays unknown, so a count is as good as the word of who signed the root.
 */
export function verifyWholeKey(
  hash: Hash,
  root: Uint8Array,
  keyPrefix: Uint8Array,
  proof: MerkleProof,
): Uint8Array[] | undefined {
  const slots = slotsOnTheWay(keyPrefix, proof.steps);
  const slot = slots?.at(-1);
  if (slots === undefined || slot === undefined) return undefined;
  const { end } = proof;
  const keys = end.kind === 'items' ? end.keys : [];
  const hashed = end.kind === 'items' ? hashItems(hash, slot, keyPrefix, keys) : hashFork(hash, slot, keyPrefix, end);
  if (hashed === undefined || (proof.steps.length > 0 && hashed.count === 0)) return undefined;
  let { count } = hashed;
  let digest = hashed.hash;
  for (let i = proof.steps.length - 1; i >= 0; i--) {
    const step = proof.steps[i] as ProofStep;
    if (step.count < count + step.siblings.length || !isCount(step.count)) return undefined;
    const index = childIndex(step.map, nibbleAt(keyPrefix, step.prefix.length));
    ({ count, hash: digest } = innerNode(
      hash,
      step.count,
      step.prefix,
      step.map,
      step.siblings.toSpliced(index, 0, digest),
    ));
  }
  return equalBytes(digest, root) ? keys.filter((key) => startsWith(key, keyPrefix)) : undefined;
}

/** The slots that the steps lead through, the root's first; undefined when they do not lead towards the key. */
function slotsOnTheWay(keyPrefix: Uint8Array, steps: readonly ProofStep[]): Slot[] | undefined {
  const slots: Slot[] = [ROOT_SLOT];
  for (const { prefix, map, siblings } of steps) {
    if (!prefix.startsWith(slots[slots.length - 1] as Slot) || prefix.length >= 2 * keyPrefix.length) return undefined;
    if (!slotContains(prefix, keyPrefix) || !isMap(map)) return undefined;
    const nibble = nibbleAt(keyPrefix, prefix.length);
    if (!hasChild(map, nibble) || siblings.length === 0 || !areHashes(siblings, countChildren(map) - 1))
      return undefined;
    slots.push(childSlot(prefix, nibble));
  }
  return slots;
}

interface Hashed {
  readonly count: number;
  readonly hash: Uint8Array;
}

function hashItems(hash: Hash, slot: Slot, keyPrefix: Uint8Array, keys: readonly Uint8Array[]): Hashed | undefined {
  const length = keys[0]?.length ?? 0;
  if (keys.length > 0 && length < keyPrefix.length) return undefined;
  const isPlaced = keys.every((key) => key.length === length && slotContains(slot, key));
  // More than a leaf is disclosed only where it is the whole key; above that the way goes on.
  const isEnd = keys.length <= LEAF_ITEMS_MAX || keys.every((key) => startsWith(key, keyPrefix));
  if (!isPlaced || !isEnd || !isAscending(keys)) return undefined;
  const { root, count } = buildTrie(hash, keys);
  return { hash: root, count };
}

function hashFork(
  hash: Hash,
  slot: Slot,
  keyPrefix: Uint8Array,
  end: Omit<InnerNode, 'hash' | 'kind'>,
): Hashed | undefined {
  const { count, prefix, map, children } = end;
  if (!isSlot(prefix) || !prefix.startsWith(slot) || !isCount(count) || !isMap(map)) return undefined;
  if (children.length < 2 || !areHashes(children, countChildren(map))) return undefined;
  const shared = sharedNibbles(prefix, keyPrefix);
  if (shared === 2 * keyPrefix.length) return undefined;
  if (shared === prefix.length && hasChild(map, nibbleAt(keyPrefix, shared))) return undefined;
  return innerNode(hash, count, prefix, map, children);
}

function isCount(count: number): boolean {
  return Number.isInteger(count) && count > LEAF_ITEMS_MAX && count <= 0xffffffff;
}

function isMap(map: number): boolean {
  return Number.isInteger(map) && map >= 0 && map <= 0xffff;
}

function areHashes(hashes: readonly Uint8Array[], count: number): boolean {
  return hashes.length === count && hashes.every((hash) => hash.length === HASH_BYTES);
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return key.length >= prefix.length && equalBytes(key.subarray(0, prefix.length), prefix);
}
