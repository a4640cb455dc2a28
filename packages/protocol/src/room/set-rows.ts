import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToHex, compareBytes, concatBytes, equalBytes, hexToBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { decodeRow, encode, readFixed } from '../codec.js';
import { type Context, isEmptyContext, type Stamped } from '../context.js';
import {
  bytesToDelta,
  coverOf,
  type Delta,
  FLAG,
  hasFlag,
  parseTrieKey,
  readContext,
  TRIE_KEY_BYTES,
  trieKeyOf,
  writeContext,
} from '../delta.js';
import { MangroveError } from '../errors.js';
import { idToBytes, KEY_ID_BYTES, type KeyId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './room-ref.js';

/** A delta as it is stored under its trie key, and nothing else that a disk has made of it. Throws `INTERNAL` and `DELTA_MALFORMED` [AE1]. */
export function rowToDelta({ hash, roomId }: RoomRef, trieKey: Uint8Array, row: Uint8Array): Delta {
  const delta = bytesToDelta(hash, roomId, row);
  if (!equalBytes(trieKeyOf(delta), trieKey))
    throw new MangroveError('INTERNAL', { reason: 'a row of deltas on disk is not what its key says' });
  return delta;
}

/** `replica 8 • u64 seq`. */
export function dotKey(dot: Pick<Delta, 'replica' | 'seq'>): Uint8Array {
  return concatBytes(idToBytes(dot.replica), u64ToBytes(dot.seq));
}

/** The trie keys under one dot: one, or several where a replica has forked. */
export function splitTrieKeys(value: Uint8Array): readonly Uint8Array[] {
  if (value.length % TRIE_KEY_BYTES !== 0)
    throw new MangroveError('INTERNAL', { reason: 'a row of dots on disk cannot be read' });
  return Array.from({ length: value.length / TRIE_KEY_BYTES }, (_, i) =>
    value.slice(i * TRIE_KEY_BYTES, (i + 1) * TRIE_KEY_BYTES),
  );
}

/** Of each dot that names any deltas here their trie keys, as hex, by the dot's key, as hex: read once, however many of these are of one dot. */
export function* readDots(
  tx: Transaction,
  deltas: readonly Pick<Delta, 'replica' | 'seq'>[],
): Steps<ReadonlyMap<string, ReadonlySet<string>>> {
  const keys = new Map(deltas.map((delta) => [bytesToHex(dotKey(delta)), dotKey(delta)]));
  const rows = yield* tx.getMany('dots', [...keys.values()]);
  return new Map(
    [...keys.keys()].flatMap((name, i) => {
      const row = rows[i];
      return row === undefined ? [] : [[name, new Set(splitTrieKeys(row).map(bytesToHex))] as const];
    }),
  );
}

export interface Sibling extends Stamped {
  readonly trieKey: Uint8Array;
}

export interface ContextualSibling extends Sibling {
  readonly context: Context;
}

/** `all` is filled only where a delta of the batch has a context; otherwise nothing can be superseded by it. */
export interface Siblings {
  readonly all: Set<Sibling>;
  contextual: ContextualSibling[];
  changed: boolean;
}

export function* loadSiblings(tx: Transaction, deltas: readonly Delta[], withAll = true): Steps<Map<KeyId, Siblings>> {
  const keyIds = [...new Set(deltas.map((delta) => delta.keyId))];
  const rows = yield* tx.getMany('contexts', keyIds.map(idToBytes));
  const siblingsByKey = new Map<KeyId, Siblings>();
  for (const [i, keyId] of keyIds.entries()) {
    const row = rows[i];
    siblingsByKey.set(keyId, {
      all: new Set(),
      contextual: row === undefined ? [] : readContexts(idToBytes(keyId), row),
      changed: false,
    });
  }
  if (!withAll) return siblingsByKey;
  const superseding = new Set(deltas.filter((delta) => !isEmptyContext(coverOf(delta))).map((delta) => delta.keyId));
  for (const keyId of superseding) {
    const { all } = siblingsByKey.get(keyId) as Siblings;
    const prefix = idToBytes(keyId);
    for (const trieKey of yield* tx.keys('deltas', { from: prefix, to: prefixEnd(prefix) }))
      all.add({ ...parseTrieKey(trieKey), trieKey });
  }
  return siblingsByKey;
}

export function* removeDeltas(
  tx: Transaction,
  room: RoomRef,
  trieKeys: readonly Uint8Array[],
  retained: ReadonlySet<string>,
  nowMs: number,
): Steps<readonly Delta[]> {
  const rows = yield* tx.getMany('deltas', trieKeys);
  const deltas = rows.flatMap((row, i) =>
    row === undefined ? [] : [rowToDelta(room, trieKeys[i] as Uint8Array, row)],
  );
  for (const delta of deltas) {
    const trieKey = trieKeyOf(delta);
    tx.delete('deltas', trieKey);
    if (hasFlag(delta, FLAG.tombstone)) tx.delete('tombstones', trieKey);
    if (retained.has(bytesToHex(trieKey))) retain(tx, delta, nowMs);
  }
  return deltas;
}

export function retain(tx: Transaction, delta: Delta, nowMs: number): void {
  tx.put('retained', retainedKey(delta, nowMs), delta.bytes);
}

/** `u64 since when, in ms • trie key 64`. */
export function retainedKey(delta: Delta, nowMs: number): Uint8Array {
  return concatBytes(u64ToBytes(nowMs), trieKeyOf(delta));
}

/** The rows of `dots` once some deltas have left and others have come: several of a batch may share one, where a replica forked. */
export function* changeDots(tx: Transaction, removed: readonly Delta[], added: readonly Delta[]): Steps<void> {
  const keys = new Map([...removed, ...added].map((delta) => [bytesToHex(dotKey(delta)), dotKey(delta)]));
  const rows = yield* tx.getMany('dots', [...keys.values()]);
  const trieKeysByDot = new Map(
    [...keys.keys()].map((dot, i) => [dot, new Set(splitTrieKeys(rows[i] ?? new Uint8Array()).map(bytesToHex))]),
  );
  for (const delta of removed) trieKeysByDot.get(bytesToHex(dotKey(delta)))?.delete(bytesToHex(trieKeyOf(delta)));
  for (const delta of added) trieKeysByDot.get(bytesToHex(dotKey(delta)))?.add(bytesToHex(trieKeyOf(delta)));
  for (const [dot, trieKeys] of trieKeysByDot) {
    if (trieKeys.size === 0) tx.delete('dots', hexToBytes(dot));
    else tx.put('dots', hexToBytes(dot), hexToBytes([...trieKeys].sort().join('')));
  }
}

export function writeContexts(tx: Transaction, keyId: KeyId, contextual: readonly ContextualSibling[]): void {
  if (contextual.length === 0) tx.delete('contexts', idToBytes(keyId));
  else tx.put('contexts', idToBytes(keyId), contextsToRow(contextual));
}

/** `contexts` row := (the trie key without its keyId, which is the row's key: 48 bytes • context relative to the trie key's hlc)* */
export function contextsToRow(contextual: readonly ContextualSibling[]): Uint8Array {
  // In the order of the trie, so that the row says nothing of the order in which they came [CX6].
  const inOrder = contextual.toSorted((a, b) => compareBytes(a.trieKey, b.trieKey));
  return encode((encoder) => {
    for (const sibling of inOrder) {
      encoding.writeUint8Array(encoder, sibling.trieKey.subarray(KEY_ID_BYTES));
      writeContext(encoder, sibling.context, sibling.hlc);
    }
  });
}

/** `key`: that of the row. */
export function readContexts(key: Uint8Array, row: Uint8Array): ContextualSibling[] {
  return decodeRow('contexts', row, (decoder) => {
    const contextual: ContextualSibling[] = [];
    while (decoding.hasContent(decoder)) {
      const trieKey = concatBytes(key, readFixed(decoder, TRIE_KEY_BYTES - KEY_ID_BYTES));
      const { replica, hlc } = parseTrieKey(trieKey);
      contextual.push({ replica, hlc, trieKey, context: readContext(decoder, hlc) });
    }
    return contextual;
  });
}
