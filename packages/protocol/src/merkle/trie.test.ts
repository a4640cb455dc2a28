import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, compareBytes, concatBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import type { Hash } from '../hash.js';
import { MemoryTables } from '../store/memory-store.js';
import { EMPTY_ROOT, nodeToBytes } from './node.js';
import { slotToBytes } from './slot.js';
import { buildTrie, readRoot, rebuildTrie, updateTrie } from './trie.js';

const sha256: Hash = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());
const digest = (text: string): Uint8Array => sha256(utf8ToBytes(text));
const hexes = (keys: readonly Uint8Array[]): string[] => keys.map(bytesToHex);

function trieKey(keyId: Uint8Array, replica: string, hlc: number): Uint8Array {
  const id = sha256(concatBytes(keyId, u64ToBytes(hlc), utf8ToBytes(replica)));
  return concatBytes(keyId.subarray(0, 16), digest(replica).subarray(0, 8), u64ToBytes(hlc), id);
}

/** Key ids that share 31 nibbles: an odd prefix of every node above them. */
function oddKeyId(n: number): Uint8Array {
  const keyId = digest('odd').slice(0, 16);
  keyId[15] = ((keyId[15] as number) & 0xf0) | n;
  return keyId;
}

/** Everything that the keys of a room can look like: scattered, dense under one key, and parted late at an odd nibble. */
const universe: readonly Uint8Array[] = [
  ...Array.from({ length: 150 }, (_, i) => trieKey(digest(`record ${i}`), 'a', 1_000 + i)),
  ...Array.from({ length: 150 }, (_, i) => trieKey(digest('document'), i % 3 === 0 ? 'a' : 'b', 7_777 + i)),
  ...Array.from({ length: 100 }, (_, i) => trieKey(oddKeyId(i % 3), 'a', 5_000 + i)),
].sort(compareBytes);

/** A batch turns items of the universe on and off: runs of neighbours make nodes vanish, strides touch many paths at once. */
const batches = fc.array(
  fc.record({
    start: fc.nat(universe.length - 1),
    length: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: universe.length })),
    stride: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })),
  }),
  { minLength: 1, maxLength: 8 },
);

function createStore(keys: readonly Uint8Array[] = []) {
  const tables = new MemoryTables();
  const held = new Map<string, Uint8Array>();
  const store = {
    tables,
    keys: (): Uint8Array[] => [...held.values()].sort(compareBytes),
    root: () => tables.transact(readRoot).result,
    update(adds: readonly Uint8Array[], removes: readonly Uint8Array[] = []) {
      for (const key of removes) held.delete(bytesToHex(key));
      for (const key of adds) held.set(bytesToHex(key), key);
      return tables.transact(function* (tx) {
        const root = yield* updateTrie(tx, sha256, { adds, removes });
        for (const key of adds) tx.put('deltas', key, Uint8Array.of(1));
        for (const key of removes) tx.delete('deltas', key);
        return root;
      });
    },
    toggle(batch: { start: number; length: number; stride: number }) {
      const picked = new Set<number>();
      for (let i = 0; i < batch.length; i++) picked.add((batch.start + i * batch.stride) % universe.length);
      const keys = [...picked].map((index) => universe[index] as Uint8Array);
      return store.update(
        keys.filter((key) => !held.has(bytesToHex(key))),
        keys.filter((key) => held.has(bytesToHex(key))),
      );
    },
  };
  if (keys.length > 0) store.update(keys);
  return store;
}

function nodeRows(tables: MemoryTables): string[] {
  return tables.dump().filter((row) => row.startsWith('nodes '));
}

function builtRows(keys: readonly Uint8Array[]): string[] {
  const { nodes } = buildTrie(sha256, keys);
  return [...nodes]
    .map(([slot, node]) => `nodes ${bytesToHex(slotToBytes(slot))} ${bytesToHex(nodeToBytes(node))}`)
    .sort();
}

describe('shape', () => {
  test('[MK2] the roots of a small fixed set do not move', () => {
    const keys = Array.from({ length: 40 }, (_, i) => trieKey(oddKeyId(i % 2), 'golden', i)).sort(compareBytes);
    expect(bytesToHex(buildTrie(sha256, keys.slice(0, 32)).root)).toBe(
      '61b36c0601b9c46e83c93b69ab976ec233083a75ab35e4bb5096fc885f6d4cce',
    );
    expect(bytesToHex(buildTrie(sha256, keys).root)).toBe(
      '84fd4a5b20140c39290324a70bd22e3f6f062aaaa1c5260f09e1b8788b5d7aee',
    );
    const heads = Array.from({ length: 33 }, (_, i) => concatBytes(digest(`${i}`).subarray(0, 8), u64ToBytes(i)));
    expect(bytesToHex(buildTrie(sha256, heads.sort(compareBytes)).root)).toBe(
      'b15a652220ce766ce35a737ed661039e83914a03fad02bb4b8e2efc61ad047d5',
    );
  });

  test('[MK2] a root follows from the grammar alone', () => {
    const keys = Array.from({ length: 33 }, (_, i) => trieKey(oddKeyId(i % 2), 'a', i)).sort(compareBytes);
    const leaf = (items: readonly Uint8Array[]) =>
      sha256(concatBytes(Uint8Array.of(0, 0, 0, 0, items.length), ...items));
    const prefix = concatBytes(oddKeyId(0).subarray(0, 15), Uint8Array.of((oddKeyId(0)[15] as number) & 0xf0));
    const inner = concatBytes(Uint8Array.of(1, 0, 0, 0, 33, 31), prefix, Uint8Array.of(0, 0b11));
    const root = sha256(concatBytes(inner, leaf(keys.slice(0, 17)), leaf(keys.slice(17))));
    expect(buildTrie(sha256, keys).root).toEqual(root);
  });

  test('[MK3] the root of nothing is the empty leaf', () => {
    expect(EMPTY_ROOT).toEqual(sha256(new Uint8Array(5)));
    expect(buildTrie(sha256, [])).toMatchObject({ root: EMPTY_ROOT, count: 0 });
    expect(createStore().root()).toEqual({ root: EMPTY_ROOT, count: 0 });
  });
});

describe('updates', () => {
  test('[MK3][MK4] any history gives the nodes of the set it ends in, byte for byte, and no others', () => {
    fc.assert(
      fc.property(batches, (history) => {
        const store = createStore();
        for (const batch of history) {
          const { result } = store.toggle(batch);
          const { root, count } = buildTrie(sha256, store.keys());
          expect(result).toEqual({ root, count });
          expect(store.root()).toEqual({ root, count });
          expect(nodeRows(store.tables)).toEqual(builtRows(store.keys()));
        }
      }),
      { numRuns: 150 },
    );
  });

  test('[MK3] one by one in any order, and back to nothing, is the same as all at once', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...universe], { minLength: 60, maxLength: 120 }), (keys) => {
        const store = createStore();
        for (const key of keys) store.update([key]);
        expect(nodeRows(store.tables)).toEqual(builtRows(store.keys()));
        for (const key of keys.toReversed()) store.update([], [key]);
        expect(nodeRows(store.tables)).toEqual([]);
        expect(store.root().root).toEqual(EMPTY_ROOT);
      }),
      { numRuns: 15 },
    );
  });

  test('[MK3] adding and removing in one batch can replace a whole subtree', () => {
    const dense = universe.filter((key) => hexes([key])[0]?.startsWith(bytesToHex(digest('document').subarray(0, 16))));
    const rest = universe.filter((key) => !dense.includes(key));
    const store = createStore(dense);
    store.update(rest, dense);
    expect(nodeRows(store.tables)).toEqual(builtRows(rest));
    store.update(dense, rest);
    expect(nodeRows(store.tables)).toEqual(builtRows(dense));
  });

  test('[MK4] an insert reads and writes its path alone, and a batch takes few steps', () => {
    const many = Array.from({ length: 3_000 }, (_, i) => trieKey(digest(`many ${i}`), 'a', i));
    const store = createStore(many.slice(0, 2_000));
    const { writes } = store.update([trieKey(digest('one more'), 'a', 1)]);
    expect(writes.filter((write) => write.table === 'nodes').length).toBeLessThan(8);

    const tx = { reads: 0, steps: 0 };
    store.tables.transact(function* (transaction) {
      const steps = updateTrie(transaction, sha256, { adds: many.slice(2_000), removes: many.slice(0, 500) });
      let step = steps.next();
      while (!step.done) {
        tx.steps++;
        tx.reads += step.value.length;
        step = steps.next(yield step.value);
      }
    });
    expect(tx.steps).toBeLessThan(12);
    expect(tx.reads).toBeLessThan(1_500);
  });

  test('[MK1] what the caller promises is asserted', () => {
    const store = createStore(universe.slice(0, 100));
    const [first, other] = [universe[0] as Uint8Array, universe[200] as Uint8Array];
    expect(() => store.tables.transact((tx) => updateTrie(tx, sha256, { adds: [first], removes: [] }))).toThrow(
      'assertion',
    );
    expect(() => store.tables.transact((tx) => updateTrie(tx, sha256, { adds: [], removes: [other] }))).toThrow(
      'assertion',
    );
    expect(() => store.tables.transact((tx) => updateTrie(tx, sha256, { adds: [other, other], removes: [] }))).toThrow(
      'assertion',
    );
  });
});

describe('rebuild', () => {
  test('[MK4] a rebuild of a sound index changes nothing, and of a damaged one mends it', () => {
    const store = createStore([...universe]);
    const sound = nodeRows(store.tables);
    expect(store.tables.transact((tx) => rebuildTrie(tx, sha256)).result).toEqual(store.root());
    expect(nodeRows(store.tables)).toEqual(sound);
    const rows = store.tables.table('nodes').rows({ from: new Uint8Array() });
    for (const [i, [key]] of rows.entries()) {
      if (i % 3 === 0) store.tables.table('nodes').delete(key);
      if (i % 3 === 1) store.tables.table('nodes').put(key, Uint8Array.of(9));
    }
    store.tables.table('nodes').put(Uint8Array.of(4, 1, 2), Uint8Array.of(1));
    store.tables.transact((tx) => rebuildTrie(tx, sha256));
    expect(nodeRows(store.tables)).toEqual(sound);
  });

  test('[MK4] keys are read in pages', () => {
    const many = Array.from({ length: 9_000 }, (_, i) => trieKey(digest(`many ${i}`), 'a', i)).sort(compareBytes);
    const store = createStore();
    for (const key of many) store.tables.table('deltas').put(key, Uint8Array.of(1));
    const { root } = store.tables.transact((tx) => rebuildTrie(tx, sha256)).result;
    expect(root).toEqual(buildTrie(sha256, many).root);
  });

  test('[MK4] a node that is gone or cannot be read is INTERNAL, not a wrong root', () => {
    const store = createStore([...universe]);
    const nodes = store.tables.table('nodes');
    const below = nodes.rows({ from: Uint8Array.of(1) }).map(([key]) => key);
    for (const key of below) nodes.put(key, Uint8Array.of(9));
    const late = trieKey(digest('record 0'), 'a', 1);
    expect(() => store.update([late])).toThrow('a Merkle node on disk cannot be read');
    for (const key of below) nodes.delete(key);
    expect(() => store.update([late])).toThrow('is missing');
  });
});
