import { createHash } from 'node:crypto';
import { MemoryBlockstore, MST, mstDiff, Leaf } from '@atproto/repo';
import { cidForRawHash } from '@atproto/lex-data';
import { versionOf } from '../../support/machine.mjs';
import { heldBy, itemId, LEFT, RIGHT, timedAsync } from '../workload.mjs';

const CID_BYTES = 36;
const BITS_PER_LAYER = 2;
const CHECKED_KEYS = 200;

export const merkleSearchTree = {
  id: 'mst',
  name: 'Merkle search tree',
  about:
    '@atproto/repo, keys in time order; nodes asked for a level at a time. It has no two-way wire format: counted is the least, a CID asked and the block answered',
  carries: 'ids',
  versions: () => ({ '@atproto/repo': versionOf('@atproto/repo') }),
  sources: ['peers/merkle-search-tree.mjs'],
  cannot: () => undefined,
  async run({ items }) {
    await checkBuilder();
    const leaves = items.map((_, index) => leafOf(index));
    const left = await storedTree(heldBy(LEFT, items).map((index) => leaves[index]));
    const right = await storedTree(heldBy(RIGHT, items).map((index) => leaves[index]));
    const { result, cpuMs } = await timedAsync(() => reconcile(left, right));
    const { diff, ...cost } = result;
    const expected = (side) => items.filter((item) => item.side === side).length;
    if (diff.adds !== expected(RIGHT) || diff.deletes !== expected(LEFT))
      throw new Error(`the tree found ${diff.adds} and ${diff.deletes} differences`);
    return { ...cost, cpuMs };
  },
};

/** The left side asks for what it does not hold, level by level, and then has both trees to compare. */
async function reconcile(left, right) {
  let bytes = CID_BYTES;
  let roundTrips = 0;
  let wanted = [right.root];
  while (wanted.length > 0) {
    const next = [];
    for (const cid of wanted) {
      const block = right.store.blocks.get(cid);
      bytes += CID_BYTES + block.length;
      await left.store.putBlock(cid, block);
      for (const entry of await MST.load(left.store, cid).getEntries())
        if (entry.isTree() && !(await left.store.has(entry.pointer))) next.push(entry.pointer);
    }
    wanted = next;
    roundTrips++;
  }
  const diff = await mstDiff(MST.load(left.store, right.root), MST.load(left.store, left.root));
  return { bytes, roundTrips, diff: { adds: diff.addList().length, deletes: diff.deleteList().length } };
}

async function storedTree(leaves) {
  const tree = await build(leaves);
  const store = new MemoryBlockstore();
  const { root, blocks } = await tree.getUnstoredBlocks();
  await store.putMany(blocks);
  return { root, store };
}

function leafOf(index) {
  const key = `app.item/${String(index).padStart(9, '0')}`;
  return { layer: layerOf(key), leaf: new Leaf(key, cidForRawHash(itemId(index))) };
}

/** The tree of sorted leaves from the bottom, as adding a million one by one would take an hour. */
async function build(leaves) {
  const top = leaves.reduce((max, { layer }) => Math.max(max, layer), 0);
  const tree = buildLayer(leaves, 0, leaves.length, top);
  await tree.getPointer();
  return tree;
}

const empty = new MemoryBlockstore();

function buildLayer(leaves, from, to, layer) {
  const entries = [];
  let start = from;
  for (let at = from; at <= to; at++) {
    if (at < to && leaves[at].layer < layer) continue;
    if (at > start) entries.push(buildLayer(leaves, start, at, layer - 1));
    if (at < to) entries.push(leaves[at].leaf);
    start = at + 1;
  }
  const node = new MST(empty, null, entries, layer);
  node.outdatedPointer = true;
  return node;
}

function layerOf(key) {
  const digest = createHash('sha256').update(key).digest();
  let layer = 0;
  for (const byte of digest) {
    for (let shift = 8 - BITS_PER_LAYER; shift >= 0; shift -= BITS_PER_LAYER) {
      if (byte >>> shift !== 0) return layer;
      layer++;
    }
  }
  return layer;
}

/** What is built at once has the root that the package gives when the same keys are added one by one. */
async function checkBuilder() {
  const leaves = Array.from({ length: CHECKED_KEYS }, (_, index) => leafOf(index));
  let tree = await MST.create(empty);
  for (const { leaf } of leaves) tree = await tree.add(leaf.key, leaf.value);
  const built = await build(leaves);
  if (!(await tree.getPointer()).equals(await built.getPointer())) throw new Error('the tree was built wrongly');
}
