import { bytesToHex, u64ToBytes } from '../bytes.js';
import { covers } from '../context.js';
import { bytesToDelta, type Delta, parseTrieKey, TRIE_KEY_BYTES } from '../delta.js';
import { idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import { acceptDeltas, type RoomRef } from './accept.js';
import { type ContextualSibling, readContexts } from './set-rows.js';
import { bytesToOutboxPlace } from './outbox.js';

const STAMP_BYTES = 8;
const EVERYTHING = { from: new Uint8Array() };

/**
 * At a replica: looks at each superseded delta that is kept. One that a usable delta in the set covers, which is not only ours,
 * goes; one that nothing covers any more, as what superseded it was withdrawn or answered, is in the set again [CX2, CP8].
 */
export function* settleRetained(tx: Transaction, room: RoomRef, replica: ReplicaId): Steps<void> {
  const keys = yield* tx.keys('retained', EVERYTHING);
  if (keys.length === 0) return;
  const covering = yield* readCovering(tx, new Set(keys.map((key) => parseTrieKey(trieKeyOfRow(key)).keyId)));
  const isWeak = yield* findWeak(tx, replica, [...covering.values()].flat());
  const quarantined = new Set((yield* tx.keys('quarantine', EVERYTHING)).map(bytesToHex));
  const back: Uint8Array[] = [];
  for (const key of keys) {
    const place = parseTrieKey(trieKeyOfRow(key));
    const by = covering.get(place.keyId)?.filter(({ context }) => covers(context, place)) ?? [];
    if (by.length === 0) back.push(key);
    else if (!by.every(isWeak)) {
      tx.delete('retained', key);
      tx.delete('vouched', idToBytes(place.id));
    }
  }
  const rows = yield* tx.getMany('retained', back);
  for (const key of back) tx.delete('retained', key);
  const deltas = rows.flatMap((row) => (row === undefined ? [] : [bytesToDelta(room.hash, room.roomId, row)]));
  // What cannot be used may be among them, and covers others again.
  const retain = ({ id }: Pick<Delta, 'id'>): boolean => quarantined.has(id);
  if (deltas.length > 0) yield* acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain });
}

/** Keys of which superseded deltas are kept. */
export function* readRetainedKeys(tx: Transaction): Steps<ReadonlySet<KeyId>> {
  return new Set((yield* tx.keys('retained', EVERYTHING)).map((key) => parseTrieKey(trieKeyOfRow(key)).keyId));
}

/** The superseded deltas of one key that are kept, each once, in trie order. */
export function* readRetainedOf(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<readonly Delta[]> {
  const rowByTrieKey = new Map<string, Uint8Array>();
  for (const key of yield* tx.keys('retained', EVERYTHING)) {
    const trieKey = trieKeyOfRow(key);
    if (parseTrieKey(trieKey).keyId === keyId) rowByTrieKey.set(bytesToHex(trieKey), key);
  }
  const inOrder = [...rowByTrieKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key);
  const rows = yield* tx.getMany('retained', inOrder);
  return rows.flatMap((row) => (row === undefined ? [] : [bytesToDelta(room.hash, room.roomId, row)]));
}

/** Deletes the oldest rows that were kept before `beforeMs`, at most `limit` of them: a relay's promise ends there. */
export function* pruneRetained(tx: Transaction, beforeMs: number, limit: number): Steps<number> {
  const to = u64ToBytes(Math.max(0, beforeMs));
  const keys = yield* tx.keys('retained', { from: new Uint8Array(), to, limit });
  for (const key of keys) tx.delete('retained', key);
  return keys.length;
}

function* readCovering(tx: Transaction, keyIds: ReadonlySet<KeyId>): Steps<Map<KeyId, ContextualSibling[]>> {
  const rows = yield* tx.getMany('contexts', [...keyIds].map(idToBytes));
  return new Map([...keyIds].map((keyId, i) => [keyId, readContexts(idToBytes(keyId), rows[i] ?? new Uint8Array())]));
}

/** What may yet leave the set, or cannot be read: quarantined, or ours and not yet acknowledged. */
function* findWeak(
  tx: Transaction,
  replica: ReplicaId,
  siblings: readonly ContextualSibling[],
): Steps<(sibling: ContextualSibling) => boolean> {
  const unsent = new Set<string>();
  for (const [, row] of yield* tx.rows('outbox', EVERYTHING)) {
    const { keyId, hlc } = bytesToOutboxPlace(row);
    unsent.add(`${keyId} ${hlc}`);
  }
  const rows = yield* tx.getMany(
    'quarantine',
    siblings.map(({ trieKey }) => trieKey.subarray(TRIE_KEY_BYTES - 32)),
  );
  const quarantined = new Set(siblings.filter((_, i) => rows[i] !== undefined));
  return (sibling) => {
    const { keyId } = parseTrieKey(sibling.trieKey);
    return quarantined.has(sibling) || (sibling.replica === replica && unsent.has(`${keyId} ${sibling.hlc}`));
  };
}

const trieKeyOfRow = (key: Uint8Array): Uint8Array => key.subarray(STAMP_BYTES);
