import { bytesToU64, concatBytes, prefixEnd, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { parseTrieKey, TRIE_KEY_BYTES } from '../delta.js';
import { idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';

/** In `meta`: `lost • replica 8 • u64 seq • trieKey 64`, one row for each delta that a scrub missed and that is neither back nor covered [AE3]. */
const PREFIX = utf8ToBytes('lost ');
const PAGE_ROWS = 64;

/** Where the dot of a lost delta is lost too: below every seq that there is. */
export const SEQ_UNKNOWN = 0;

export interface LostDelta {
  readonly replica: ReplicaId;
  readonly seq: number;
  readonly trieKey: Uint8Array;
}

export function noteLost(tx: Transaction, lost: LostDelta): void {
  tx.put('meta', keyOf(lost), new Uint8Array());
}

export function forgetLost(tx: Transaction, found: LostDelta): void {
  tx.delete('meta', keyOf(found));
}

/** The lowest seq above `after` of what is lost of a replica, as far as it is known. */
export function* firstLostAfter(tx: Transaction, replica: ReplicaId, after: number): Steps<number | undefined> {
  const ofReplica = concatBytes(PREFIX, idToBytes(replica));
  const from = concatBytes(ofReplica, u64ToBytes(after + 1));
  const [key] = yield* tx.keys('meta', { from, to: prefixEnd(ofReplica), limit: 1 });
  return key === undefined ? undefined : bytesToU64(key, ofReplica.length);
}

/** The seqs of a replica's deltas that are lost, as far as they are known. */
export function* readLostSeqs(tx: Transaction, replica: ReplicaId): Steps<ReadonlySet<number>> {
  const from = concatBytes(PREFIX, idToBytes(replica));
  const keys = yield* tx.keys('meta', { from, to: prefixEnd(from) });
  return new Set(keys.map((key) => bytesToU64(key, from.length)));
}

/** Whether something is known to be missing. */
export function* isAnyLost(tx: Transaction): Steps<boolean> {
  return (yield* tx.keys('meta', { from: PREFIX, to: prefixEnd(PREFIX), limit: 1 })).length > 0;
}

/** Whether something of a key may be missing, as far as it is known: where very much is, all keys may be among it. */
export function* isKeyLost(tx: Transaction, keyId: KeyId): Steps<boolean> {
  const keys = yield* tx.keys('meta', { from: PREFIX, to: prefixEnd(PREFIX), limit: PAGE_ROWS });
  return keys.length === PAGE_ROWS || keys.some((key) => parseTrieKey(key.slice(-TRIE_KEY_BYTES)).keyId === keyId);
}

/**
 * Forgets, in order, what is back or covered by now, up to the first that is not: a short look while much is missing. True when nothing is
 * lost any more.
 */
export function* forgetAllFound(tx: Transaction, isFound: (lost: Uint8Array) => Steps<boolean>): Steps<boolean> {
  for (;;) {
    const keys = yield* tx.keys('meta', { from: PREFIX, to: prefixEnd(PREFIX), limit: PAGE_ROWS });
    for (const key of keys) {
      if (!(yield* isFound(key.slice(-TRIE_KEY_BYTES)))) return false;
      tx.delete('meta', key);
    }
    if (keys.length < PAGE_ROWS) return true;
  }
}

function keyOf({ replica, seq, trieKey }: LostDelta): Uint8Array {
  return concatBytes(PREFIX, idToBytes(replica), u64ToBytes(seq), trieKey);
}
