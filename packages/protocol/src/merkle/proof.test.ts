import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, compareBytes, concatBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import type { Hash } from '../hash.js';
import { MemoryTables } from '../store/memory-store.js';
import { innerNode, leafNode } from './node.js';
import { bytesToProof, type MerkleProof, proofToBytes, proveInclusion, proveKey } from './proof.js';
import { verifyInclusion, verifyWholeKey } from './proof.js';
import { ROOT_SLOT, type Slot } from './slot.js';
import { buildTrie, updateTrie } from './trie.js';

const sha256: Hash = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());
const digest = (text: string): Uint8Array => sha256(utf8ToBytes(text));
const keyIdOf = (name: string): Uint8Array => digest(name).subarray(0, 16);
const hexes = (keys: readonly Uint8Array[] | undefined) => keys?.map(bytesToHex);

function trieKey(keyId: Uint8Array, hlc: number): Uint8Array {
  return concatBytes(keyId, digest('replica').subarray(0, 8), u64ToBytes(hlc), digest(`${bytesToHex(keyId)} ${hlc}`));
}

/** Key ids that differ from that of the big document late, so that ways part inside long prefixes. */
const nearDocument = [7, 12, 15].map((at) => {
  const keyId = keyIdOf('document').slice();
  keyId[at] = (keyId[at] as number) ^ 0x01;
  return keyId;
});

const keys: readonly Uint8Array[] = [
  ...Array.from({ length: 300 }, (_, i) => trieKey(keyIdOf(`record ${i % 150}`), i)),
  ...Array.from({ length: 100 }, (_, i) => trieKey(keyIdOf('document'), i)),
  ...Array.from({ length: 40 }, (_, i) => trieKey(nearDocument[0] as Uint8Array, i)),
].sort(compareBytes);
const { root } = buildTrie(sha256, keys);

function createTables(held: readonly Uint8Array[]): MemoryTables {
  const tables = new MemoryTables();
  tables.transact(function* (tx) {
    yield* updateTrie(tx, sha256, { adds: held, removes: [] });
    for (const key of held) tx.put('deltas', key, Uint8Array.of(1));
  });
  return tables;
}

const tables = createTables(keys);
const proveWhole = (keyId: Uint8Array): MerkleProof => tables.transact((tx) => proveKey(tx, keyId)).result;
const proveItem = (key: Uint8Array): MerkleProof =>
  tables.transact((tx) => proveInclusion(tx, key)).result as MerkleProof;

const heldKeyIds = [...new Map(keys.map((key) => [bytesToHex(key.subarray(0, 16)), key.subarray(0, 16)])).values()];
const anyKeyId = fc.oneof(
  fc.constantFrom(...heldKeyIds),
  fc.constantFrom(...nearDocument),
  fc.constant(keyIdOf('document')),
  fc.nat(10_000).map((n) => keyIdOf(`absent ${n}`)),
);

describe('proofs that hold', () => {
  test('[MK6] each item has a proof, and what is not there has none', () => {
    for (const key of keys) expect(verifyInclusion(sha256, root, key, proveItem(key))).toBe(true);
    const absent = trieKey(keyIdOf('document'), 5_000);
    expect(tables.transact((tx) => proveInclusion(tx, absent)).result).toBeUndefined();
    expect(verifyInclusion(sha256, root, absent, proveWhole(absent))).toBe(false);
    expect(verifyWholeKey(sha256, root, absent, proveWhole(absent))).toEqual([]);
  });

  test('[MK6] a key is shown whole or absent, in a shared leaf, as a subtree and beside a parting prefix', () => {
    for (const keyId of [
      ...heldKeyIds,
      ...nearDocument,
      ...Array.from({ length: 200 }, (_, i) => keyIdOf(`absent ${i}`)),
    ]) {
      const expected = keys.filter((key) => bytesToHex(key).startsWith(bytesToHex(keyId)));
      expect(hexes(verifyWholeKey(sha256, root, keyId, proveWhole(keyId)))).toEqual(hexes(expected));
    }
    const kinds = [...heldKeyIds, ...nearDocument, keyIdOf('absent 1')].map((keyId) => proveWhole(keyId).end.kind);
    expect(new Set(kinds)).toEqual(new Set(['items', 'fork']));
  });

  test('[MK6] in an empty set, in a single leaf and for the prefix of nothing', () => {
    for (const held of [[], keys.slice(0, 20)]) {
      const some = createTables(held);
      const keyId = keys[3]?.subarray(0, 16) as Uint8Array;
      const proof = some.transact((tx) => proveKey(tx, keyId)).result;
      const expected = held.filter((key) => bytesToHex(key).startsWith(bytesToHex(keyId)));
      expect(verifyWholeKey(sha256, buildTrie(sha256, held).root, keyId, proof)).toEqual(expected);
    }
    const all = new Uint8Array();
    expect(verifyWholeKey(sha256, root, all, proveWhole(all))).toEqual(keys);
  });

  test('[MK6] a proof survives its bytes, and any bytes give a proof or FRAME_MALFORMED', () => {
    fc.assert(
      fc.property(anyKeyId, (keyId) => {
        expect(bytesToProof(proofToBytes(proveWhole(keyId)))).toEqual(proveWhole(keyId));
      }),
    );
    const mangled = fc.tuple(anyKeyId, fc.nat(), fc.nat(255)).map(([keyId, at, value]) => {
      const bytes = proofToBytes(proveWhole(keyId));
      bytes[at % bytes.length] = value;
      return bytes.subarray(0, value % 3 === 0 ? at % bytes.length : bytes.length);
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mangled), (bytes) => {
        try {
          bytesToProof(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'FRAME_MALFORMED' });
        }
      }),
      { numRuns: 500 },
    );
    const huge = Uint8Array.of(0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 64);
    expect(() => bytesToProof(huge)).toThrow('out of bounds');
  });
});

describe('proofs that lie', () => {
  test('[MK6] a thousand mutated proofs are refused or say the same', () => {
    fc.assert(
      fc.property(anyKeyId, fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 3 }), (keyId, flips) => {
        const bytes = proofToBytes(proveWhole(keyId));
        const before = bytesToHex(bytes);
        for (const [at, bit] of flips) bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ (1 << bit);
        let proof: MerkleProof;
        try {
          proof = bytesToProof(bytes);
        } catch {
          return;
        }
        if (bytesToHex(proofToBytes(proof)) === before) return;
        expect(verifyWholeKey(sha256, root, keyId, proof)).toBeUndefined();
        const item = keys.find((key) => bytesToHex(key).startsWith(bytesToHex(keyId))) ?? (keys[0] as Uint8Array);
        expect(verifyInclusion(sha256, root, item, proof)).toBe(false);
      }),
      { numRuns: 1_500 },
    );
  });

  test('[MK6] a withheld item is always noticed, and so is one too many', () => {
    for (const keyId of heldKeyIds) {
      const proof = proveWhole(keyId);
      if (proof.end.kind !== 'items') throw new Error('a held key ends in items');
      const disclosed = proof.end.keys;
      for (let i = 0; i < disclosed.length; i++) {
        const fewer = { ...proof, end: { kind: 'items' as const, keys: disclosed.toSpliced(i, 1) } };
        expect(verifyWholeKey(sha256, root, keyId, fewer)).toBeUndefined();
      }
      const forged = [...disclosed, trieKey(keyId, 99_999)].sort(compareBytes);
      expect(verifyWholeKey(sha256, root, keyId, { ...proof, end: { kind: 'items', keys: forged } })).toBeUndefined();
    }
  });

  test('[MK6] the proof of one key shows nothing of another', () => {
    fc.assert(
      fc.property(anyKeyId, anyKeyId, (asked, shown) => {
        const expected = keys.filter((key) => bytesToHex(key).startsWith(bytesToHex(asked)));
        const found = verifyWholeKey(sha256, root, asked, proveWhole(shown));
        // Absent neighbours may share a way that shows the absence of both.
        if (found !== undefined) expect(hexes(found)).toEqual(hexes(expected));
      }),
      { numRuns: 1_000 },
    );
  });

  test('[MK6] more is disclosed than needed: refused, as one key has one proof', () => {
    const keyId = heldKeyIds[0] as Uint8Array;
    expect(verifyWholeKey(sha256, root, keyId, { steps: [], end: { kind: 'items', keys } })).toBeUndefined();
  });

  test('[MK2][MK6] a root over a shape that no set has is refused', () => {
    const some = keys.slice(0, 20);
    const keyId = (some[0] as Uint8Array).subarray(0, 16);
    const accepts = (signed: Uint8Array, proof: MerkleProof) =>
      verifyWholeKey(sha256, signed, keyId, proof) !== undefined;
    const items = (held: readonly Uint8Array[]) => ({ kind: 'items', keys: held }) as const;
    expect(accepts(leafNode(sha256, some).hash, { steps: [], end: items(some) })).toBe(true);

    const reversed = some.toReversed();
    expect(accepts(leafNode(sha256, reversed).hash, { steps: [], end: items(reversed) })).toBe(false);
    const large = keys.slice(0, 40);
    const head = Uint8Array.of(0, 0, 0, 0, large.length);
    expect(accepts(sha256(concatBytes(head, ...large)), { steps: [], end: items(large) })).toBe(false);

    const nibble = (keyId[0] as number) >>> 4;
    const other = (nibble + 1) % 16;
    const map = (1 << nibble) | (1 << other);
    const leaf = leafNode(
      sha256,
      some.filter((key) => (key[0] as number) >>> 4 === nibble),
    );
    const siblings = [digest('sibling')];
    const signedWith = (count: number, prefix: Slot, bits = map, rest = siblings) => {
      const children = nibble < other ? [leaf.hash, ...rest] : [...rest, leaf.hash];
      const end = items(some.filter((key) => (key[0] as number) >>> 4 === nibble));
      const proof: MerkleProof = { steps: [{ count, prefix, map: bits, siblings: rest }], end };
      return accepts(innerNode(sha256, count, prefix, bits, children).hash, proof);
    };
    expect(signedWith(40, ROOT_SLOT)).toBe(true);
    expect(signedWith(32, ROOT_SLOT)).toBe(false);
    expect(signedWith(40, `${other.toString(16)}` as Slot)).toBe(false);
    expect(signedWith(40, ROOT_SLOT, 1 << nibble, [])).toBe(false);

    // A full leaf and two siblings are at least 34 items.
    const full = Array.from({ length: 32 }, (_, i) => trieKey(keyId, i));
    const others = [1, 2].map((n) => (nibble + n) % 16);
    const children = [nibble, ...others].sort((a, b) => a - b);
    const hashes = children.map((n) => (n === nibble ? leafNode(sha256, full).hash : digest('sibling')));
    const bits = children.reduce((sum, n) => sum | (1 << n), 0);
    const counted = (count: number) => {
      const step = { count, prefix: ROOT_SLOT, map: bits, siblings: hashes.toSpliced(children.indexOf(nibble), 1) };
      return accepts(innerNode(sha256, count, ROOT_SLOT, bits, hashes).hash, { steps: [step], end: items(full) });
    };
    expect([33, 34].map(counted)).toEqual([false, true]);

    const fork = { kind: 'fork', count: 40, prefix: 'x' as Slot, map, children: [leaf.hash, ...siblings] } as const;
    const forkRoot = innerNode(sha256, 40, fork.prefix, map, fork.children).hash;
    expect(accepts(forkRoot, { steps: [], end: fork })).toBe(false);
  });
});
