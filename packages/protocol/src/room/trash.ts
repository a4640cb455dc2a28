import { bytesToU64, concatBytes, u64ToBytes } from '../bytes.js';
import { bytesToDelta, type Delta, FLAG, hasFlag, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import type { Steps, Transaction } from '../store/plan.js';
import { forgetKeys } from './forget.js';
import type { RoomRef } from './room-ref.js';

/**
 * Rows of `trash`: when it came there under `u8 0 • u64 ms • trieKey`, `u64 ms • delta` under `u8 1 • trieKey`. A tombstone, in which there is
 * nothing to be had back, has 0 ms: it is there until the floor that swept it cannot be refused any more.
 */
const SINCE = 0;
const DELTA = 1;
const STAMP_BYTES = 8;

/** What a floor has swept, by its place; its bytes are read with {@link readTrashed}. */
export interface Trashed {
  readonly sinceMs: number;
  readonly trieKey: Uint8Array;
}

/** Keeps deltas that lie under a floor [FL5]. One that is there already stays as it is: sent again it does not live longer. */
export function* putInTrash(tx: Transaction, deltas: readonly Delta[], nowMs: number): Steps<void> {
  const trieKeys = deltas.map(trieKeyOf);
  const rows = yield* tx.getMany('trash', trieKeys.map(deltaKey));
  for (const [i, delta] of deltas.entries()) {
    const trieKey = trieKeys[i] as Uint8Array;
    if (rows[i] !== undefined) continue;
    const sinceMs = hasFlag(delta, FLAG.tombstone) ? 0 : Math.max(1, Math.floor(nowMs));
    tx.put('trash', sinceKey(sinceMs, trieKey), new Uint8Array());
    tx.put('trash', deltaKey(trieKey), concatBytes(u64ToBytes(sinceMs), delta.bytes));
  }
}

/** A page of what is in the trash, the oldest first; `after`: the last one of the page before. */
export function* listTrash(tx: Transaction, limit: number, after?: Trashed): Steps<readonly Trashed[]> {
  const from =
    after === undefined ? Uint8Array.of(SINCE) : concatBytes(sinceKey(after.sinceMs, after.trieKey), Uint8Array.of(0));
  const keys = yield* tx.keys('trash', { from, to: Uint8Array.of(DELTA), limit });
  return keys.map((key) => ({ sinceMs: bytesToU64(key, 1), trieKey: key.slice(1 + STAMP_BYTES) }));
}

/** The bytes of a delta in the trash; undefined when it is not there any more. */
export function* readTrashed(tx: Transaction, trieKey: Uint8Array): Steps<Uint8Array | undefined> {
  const row = yield* tx.get('trash', deltaKey(trieKey));
  return row?.slice(STAMP_BYTES);
}

/** Takes one out of the trash, whatever becomes of it. */
export function* forgetTrashed(tx: Transaction, trieKey: Uint8Array): Steps<void> {
  const row = yield* tx.get('trash', deltaKey(trieKey));
  if (row === undefined) return;
  tx.delete('trash', sinceKey(bytesToU64(row), trieKey));
  tx.delete('trash', deltaKey(trieKey));
}

/** Deletes the oldest that came there before `beforeMs`, at most `limit` of them. How many that were. */
export function* pruneTrash(tx: Transaction, beforeMs: number, limit: number): Steps<number> {
  return yield* prune(tx, 1, beforeMs, limit);
}

/**
 * Deletes tombstones that are there in case an own floor is refused, unless something may yet be, and forgets their keys; at most `limit`.
 * How many that were.
 */
export function* pruneTombstones(tx: Transaction, { hash, roomId }: RoomRef, limit: number): Steps<number> {
  if ((yield* tx.keys('outbox', { from: new Uint8Array(), limit: 1 })).length > 0) return 0;
  const keys = yield* tx.keys('trash', { from: Uint8Array.of(SINCE), to: at(1), limit });
  const rows = yield* tx.getMany(
    'trash',
    keys.map((key) => deltaKey(key.slice(key.length - TRIE_KEY_BYTES))),
  );
  const deltas = rows.flatMap((row) => (row === undefined ? [] : [bytesToDelta(hash, roomId, row.slice(STAMP_BYTES))]));
  yield* forgetKeys(tx, deltas);
  return yield* prune(tx, 0, 1, limit);
}

function* prune(tx: Transaction, fromMs: number, beforeMs: number, limit: number): Steps<number> {
  const keys = yield* tx.keys('trash', { from: at(fromMs), to: at(Math.max(fromMs, Math.floor(beforeMs))), limit });
  for (const key of keys) {
    tx.delete('trash', key);
    tx.delete('trash', deltaKey(key.slice(key.length - TRIE_KEY_BYTES)));
  }
  return keys.length;
}

const at = (ms: number): Uint8Array => concatBytes(Uint8Array.of(SINCE), u64ToBytes(ms));

const sinceKey = (sinceMs: number, trieKey: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(SINCE), u64ToBytes(Math.max(0, Math.floor(sinceMs))), trieKey);

const deltaKey = (trieKey: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(DELTA), trieKey);
