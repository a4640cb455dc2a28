import { assert } from '../assert.js';
import { concatBytes, hexToBytes } from '../bytes.js';
import { MangroveError } from '../errors.js';
import { HASH_BYTES, type Hash } from '../hash.js';
import { bytesToSlot, packNibbles, type Slot } from './slot.js';

/** At most this many items below a slot make a leaf [MK2]. 8 would be a trap: dense counters degrade to leaves of one item. */
export const LEAF_ITEMS_MAX = 32;

/** [MK3] The root of nothing, `H(0x00 • u32 0)`: a constant, so that reading a root needs no hash. */
export const EMPTY_ROOT: Uint8Array = hexToBytes('8855508aade16ec573d21e6a485dfd0a7624085c1a14b5ecdd6485de0c6839a4');

const LEAF = 0;
const INNER = 1;
const COUNT_OFFSET = HASH_BYTES + 1;
const LEAF_ROW_BYTES = HASH_BYTES + 5;

/** The items of a leaf are not stored with it: they are the range of `deltas` under its slot. */
export interface LeafNode {
  readonly kind: 'leaf';
  readonly count: number;
  readonly hash: Uint8Array;
}

/** Stands at the longest common prefix of its items. Never fewer than two children, never 32 items or fewer. */
export interface InnerNode {
  readonly kind: 'inner';
  readonly count: number;
  /** All nibbles from the root, the slot's own included. */
  readonly prefix: Slot;
  /** Bit n (value 1 << n) is set when there is a child at nibble n. */
  readonly map: number;
  /** Hashes of the children that are there, in nibble order. */
  readonly children: readonly Uint8Array[];
  readonly hash: Uint8Array;
}

export type MerkleNode = LeafNode | InnerNode;

/** [MK2] `H(0x00 • u32 count • the keys in order)`. The keys have one length, which is fixed for an instance. */
export function leafNode(hash: Hash, keys: readonly Uint8Array[]): LeafNode {
  assert(keys.length <= LEAF_ITEMS_MAX, () => `a leaf of ${keys.length} items`);
  return { kind: 'leaf', count: keys.length, hash: hash(concatBytes(head(LEAF, keys.length), ...keys)) };
}

/** [MK2] `H(0x01 • u32 count • u8 prefixNibbles • prefix, padded • u16 child map • child hashes in nibble order)`. */
export function innerNode(
  hash: Hash,
  count: number,
  prefix: Slot,
  map: number,
  children: readonly Uint8Array[],
): InnerNode {
  const node = { kind: 'inner', count, prefix, map, children } as const;
  return { ...node, hash: hash(innerBytes(node)) };
}

/** The hash of the child at a nibble. */
export function childHash(node: Pick<InnerNode, 'map' | 'children'>, nibble: number): Uint8Array | undefined {
  return hasChild(node.map, nibble) ? node.children[childIndex(node.map, nibble)] : undefined;
}

export function hasChild(map: number, nibble: number): boolean {
  return (map & (1 << nibble)) !== 0;
}

/** Where the child at a nibble stands among those that are there. */
export function childIndex(map: number, nibble: number): number {
  return countChildren(map & ((1 << nibble) - 1));
}

export function countChildren(map: number): number {
  let count = 0;
  for (let rest = map & 0xffff; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** The nibbles of a child map, ascending. */
export function childNibbles(map: number): number[] {
  const nibbles: number[] = [];
  for (let nibble = 0; nibble < 16; nibble++) if (hasChild(map, nibble)) nibbles.push(nibble);
  return nibbles;
}

/** A row of `nodes`: `hash 32 • u8 0 • u32 count`, or `hash 32` and then the very bytes that an inner node hashes. */
export function nodeToBytes(node: MerkleNode): Uint8Array {
  return concatBytes(node.hash, node.kind === 'leaf' ? head(LEAF, node.count) : innerBytes(node));
}

/** Rows are our own and derived, so one that cannot be read is `INTERNAL`: the cure is `rebuildTrie`. */
export function bytesToNode(bytes: Uint8Array): MerkleNode {
  const node = parseNode(bytes);
  if (node === undefined) throw new MangroveError('INTERNAL', { reason: 'a Merkle node on disk cannot be read' });
  return node;
}

function parseNode(bytes: Uint8Array): MerkleNode | undefined {
  if (bytes.length < LEAF_ROW_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const hash = bytes.subarray(0, HASH_BYTES);
  const count = view.getUint32(COUNT_OFFSET);
  if (bytes[HASH_BYTES] === LEAF) return bytes.length === LEAF_ROW_BYTES ? { kind: 'leaf', count, hash } : undefined;
  const mapOffset = LEAF_ROW_BYTES + 1 + (((bytes[LEAF_ROW_BYTES] ?? 0) + 1) >>> 1);
  if (bytes[HASH_BYTES] !== INNER || bytes.length < mapOffset + 2) return undefined;
  const prefix = bytesToSlot(bytes.subarray(LEAF_ROW_BYTES, mapOffset));
  const map = view.getUint16(mapOffset);
  if (prefix === undefined || bytes.length !== mapOffset + 2 + countChildren(map) * HASH_BYTES) return undefined;
  const children: Uint8Array[] = [];
  for (let at = mapOffset + 2; at < bytes.length; at += HASH_BYTES) children.push(bytes.subarray(at, at + HASH_BYTES));
  return { kind: 'inner', count, prefix, map, children, hash };
}

function innerBytes(node: Omit<InnerNode, 'hash'>): Uint8Array {
  const map = Uint8Array.of(node.map >>> 8, node.map & 255);
  const prefix = concatBytes(Uint8Array.of(node.prefix.length), packNibbles(node.prefix));
  return concatBytes(head(INNER, node.count), prefix, map, ...node.children);
}

function head(kind: number, count: number): Uint8Array {
  return Uint8Array.of(kind, count >>> 24, count >>> 16, count >>> 8, count);
}
