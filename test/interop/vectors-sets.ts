import { bytesToHex, compareBytes, concatBytes } from '../../packages/protocol/src/bytes.js';
import type { Delta } from '../../packages/protocol/src/delta.js';
import { makeCut } from '../../packages/protocol/src/merkle/cut.js';
import { answerDiff, openDiff } from '../../packages/protocol/src/merkle/diff.js';
import { proofToBytes, proveKey } from '../../packages/protocol/src/merkle/proof.js';
import { readRoot, updateTrie } from '../../packages/protocol/src/merkle/trie.js';
import { acceptAndLog } from '../../packages/protocol/src/room/log.js';
import { readVectorRows } from '../../packages/protocol/src/room/vector.js';
import { MemoryTables } from '../../packages/protocol/src/store/memory-store.js';
import { messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import { contextOf, makeDelta, record, replicaOf, room, sha256 } from './fixture.js';

/** Tries, diffs and proofs over keys that a rule makes, and rooms that take deltas one by one. */

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** `key(i) = H(u32 (i div 3)) • H(u32 (i + 2^31))`, so that three keys of a row share their keyId. */
export const keyOf = (i: number): Uint8Array => concatBytes(sha256(u32(Math.floor(i / 3))), sha256(u32(i + 2 ** 31)));
const keysUpTo = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => keyOf(i));

function tablesOf(keys: readonly Uint8Array[], removes: readonly Uint8Array[] = []): MemoryTables {
  const tables = new MemoryTables();
  for (const [adds, gone] of [
    [keys, []],
    [[], removes],
  ] as const) {
    tables.transact(function* (tx) {
      for (const key of adds) tx.put('deltas', key, Uint8Array.of(1));
      yield* updateTrie(tx, sha256, { adds: adds.toSorted(compareBytes), removes: gone.toSorted(compareBytes) });
      for (const key of gone) tx.delete('deltas', key);
    });
  }
  return tables;
}

const rootOf = (tables: MemoryTables): string => bytesToHex(tables.transact((tx) => readRoot(tx)).result.root);

export function makeTrieVectors(): unknown {
  const roots = [0, 1, 2, 32, 33, 34, 100, 1_000].map((count) => ({ count, root: rootOf(tablesOf(keysUpTo(count))) }));
  const removed = [1_000, 40].map((count) => {
    const keys = keysUpTo(count);
    const gone = keys.filter((_, i) => i % 7 === 0);
    return { count, removedEvery: 7, root: rootOf(tablesOf(keys, gone)) };
  });
  return { rule: 'key(i) = H(u32 (i div 3)) • H(u32 (i + 2^31))', roots, removed, ...makeDiffs() };
}

const SALT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

/** What a store of the first `count` keys says first, and what one that lacks every 50th answers. */
function makeDiffs(): object {
  const cut = makeCut(sha256, SALT);
  const hashes = [new Uint8Array(32), new Uint8Array(32).fill(255), sha256(u32(1)), sha256(u32(2))];
  const cuts = hashes.map((hash) => ({ salt: bytesToHex(SALT), hash: bytesToHex(hash), cut: cut(hash) }));
  const diffs = [20, 100, 1_000].map((count) => {
    const [a, b] = [tablesOf(keysUpTo(count)), tablesOf(keysUpTo(count).filter((_, i) => i % 50 !== 0))];
    const say = (tables: MemoryTables, entries: readonly never[]): Uint8Array => {
      const { root } = tables.transact((tx) => readRoot(tx)).result;
      return messageToBytes({ kind: 'diff', salt: SALT, root, entries });
    };
    const opening = a.transact((tx) => openDiff(tx, sha256, SALT)).result;
    const { root } = a.transact((tx) => readRoot(tx)).result;
    const answer = b.transact((tx) => answerDiff(tx, sha256, { salt: SALT, root, entries: opening })).result;
    return {
      ...{ count, lacksEvery: 50, opening: bytesToHex(say(a, opening as never)) },
      answer: bytesToHex(say(b, answer.entries as never)),
    };
  });
  return { cuts, diffs };
}

export function makeProofVectors(): unknown {
  const proofs = [0, 1, 33, 1_000].flatMap((count) => {
    const asked = [0, 1, Math.floor(count / 6), 400, 5_000].map((n) => keyOf(n * 3).slice(0, 16));
    return proofsOf(keysUpTo(count), asked);
  });
  // More of one key than a leaf holds.
  const key = keyOf(0).slice(0, 16);
  const many = Array.from({ length: 40 }, (_, i) => concatBytes(key, sha256(u32(i)), sha256(u32(i)).slice(0, 16)));
  return [...proofs, ...proofsOf([...many, ...keysUpTo(1_000).slice(3)], [key])];
}

function proofsOf(keys: readonly Uint8Array[], asked: readonly Uint8Array[]): readonly object[] {
  const tables = tablesOf(keys);
  const { root } = tables.transact((tx) => readRoot(tx)).result;
  return asked.map((prefix) => {
    const proof = tables.transact((tx) => proveKey(tx, prefix)).result;
    const items = keys.filter((key) => bytesToHex(key).startsWith(bytesToHex(prefix)));
    return {
      ...{ count: keys.length, root: bytesToHex(root), prefix: bytesToHex(prefix) },
      proof: bytesToHex(proofToBytes(proof)),
      items: items.toSorted(compareBytes).map(bytesToHex),
    };
  });
}

/** Deltas as they come, and after each the set, its root, the vector and the position in the log [CX2, CX6, SY2, SY3]. */
export function makeAcceptanceVectors(): unknown {
  const [a, b] = [replicaOf(0), replicaOf(1)];
  const one = makeDelta({ replica: a, seq: 1, hlc: 1_000, text: 'one' });
  const two = makeDelta({ replica: b, seq: 1, hlc: 2_000, text: 'two' });
  const both = makeDelta({
    replica: a,
    seq: 2,
    hlc: 3_000,
    prev: 1_000,
    context: contextOf([
      [a, 1_000],
      [b, 2_000],
    ]),
  });
  const three = makeDelta({ replica: b, seq: 2, hlc: 2_500, prev: 2_000, text: 'three' });
  const dotted = makeDelta({
    replica: a,
    seq: 3,
    hlc: 4_000,
    prev: 3_000,
    context: contextOf([[a, 3_000]], [[b, 2_500]]),
  });
  const fork = makeDelta({ replica: b, seq: 2, hlc: 2_600, name: record('b'), text: 'fork' });
  const elsewhere = makeDelta({ replica: b, seq: 4, hlc: 5_000, name: record('b'), text: 'above a gap' });
  const many = Array.from({ length: 40 }, (_, i) =>
    makeDelta({ replica: replicaOf(2), seq: i + 1, hlc: 6_000 + i, name: record(`r${i}`) }),
  );
  const sequences: Readonly<Record<string, readonly Delta[]>> = {
    'siblings, and one that saw both': [one, two, both],
    'what was seen comes last': [both, two, one],
    'beside what was not seen': [one, two, both, three],
    'a dot above a gap': [one, two, both, three, dotted],
    'one dot twice': [two, three, fork],
    'a gap, and what closes it': [elsewhere, two, three],
    'the same again': [one, one, two, two],
    'more than a leaf': many,
  };
  return Object.entries(sequences).map(([name, deltas]) => {
    const tables = new MemoryTables();
    const steps = deltas.map((delta) => {
      const { root, position, outcomes } = tables.transact((tx) =>
        acceptAndLog(tx, room, [delta], { nowMs: 10, from: 'others', retain: () => false }),
      ).result;
      const vector = tables.transact((tx) => readVectorRows(tx)).result;
      return {
        ...{ delta: bytesToHex(delta.bytes), outcome: outcomes[0], root: bytesToHex(root), offset: position.offset },
        ...{ roll: bytesToHex(position.roll), vector: Object.fromEntries(vector) },
      };
    });
    return { name, roomId: room.roomId, steps };
  });
}
