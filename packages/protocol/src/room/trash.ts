import * as decoding from 'lib0/decoding';
import { bytesToHex, bytesToU64, concatBytes, hexToBytes, keyAfter, u64ToBytes } from '../bytes.js';
import { decodeRow, readFixed, readU64, readU8 } from '../codec.js';
import { bytesToDelta, type Delta, FLAG, hasFlag, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import { MangroveError } from '../errors.js';
import { bytesToReplicaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId } from '../ids.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { forgetKeys } from './forget.js';
import type { RoomRef } from './room-ref.js';

/**
 * Rows of `trash`: when it came there under `u8 0 • u64 ms • trieKey`, `u64 ms • u8 why • replica 8 of the floor • delta` under `u8 1 • trieKey`.
 * A tombstone, in which there is nothing to be had back, has 0 ms: it is there until the floor that swept it cannot be refused any more.
 */
const SINCE = 0;
const DELTA = 1;
const STAMP_BYTES = 8;
/** `u64 ms • trieKey` in hex. */
const NAME = /^[0-9a-f]{144}$/;
const REASONS = ['swept', 'late'] as const;

/** `swept`: it was in the set when the floor came. `late`: the floor was there before it. */
export type TrashReason = (typeof REASONS)[number];

/** A delta on its way into the trash, and the writer of the floor that it lies under. */
export interface Swept {
  readonly delta: Delta;
  readonly why: TrashReason;
  readonly by: ReplicaId;
}

/** What a floor has swept, by its place; what is there is read with {@link readTrashed}. */
export interface Trashed {
  readonly sinceMs: number;
  readonly trieKey: Uint8Array;
}

/** Keeps deltas that lie under a floor [FL5]. One that is there already stays as it is: sent again it does not live longer. */
export function* putInTrash(tx: Transaction, swept: readonly Swept[], nowMs: number): Steps<void> {
  const trieKeys = swept.map(({ delta }) => trieKeyOf(delta));
  const rows = yield* tx.getMany('trash', trieKeys.map(deltaKey));
  for (const [i, one] of swept.entries()) {
    if (rows[i] !== undefined) continue;
    const trieKey = trieKeys[i] as Uint8Array;
    const sinceMs = hasFlag(one.delta, FLAG.tombstone) ? 0 : Math.max(1, Math.floor(nowMs));
    tx.put('trash', sinceKey(sinceMs, trieKey), new Uint8Array());
    tx.put('trash', deltaKey(trieKey), sweptToRow(one, sinceMs));
  }
}

/** A page of what came into the trash from `fromMs` on, the oldest first; `after`: the last one of the page before. */
export function* listTrash(tx: Transaction, limit: number, after?: Trashed, fromMs = 0): Steps<readonly Trashed[]> {
  const from = after === undefined ? at(fromMs) : keyAfter(sinceKey(after.sinceMs, after.trieKey));
  const keys = yield* tx.keys('trash', { from, to: Uint8Array.of(DELTA), limit });
  return keys.map((key) => ({ sinceMs: bytesToU64(key, 1), trieKey: key.slice(1 + STAMP_BYTES) }));
}

/** A delta in the trash and how it came there; undefined when it is not there any more. */
export function* readTrashed(tx: Transaction, room: RoomRef, trieKey: Uint8Array): Steps<Swept | undefined> {
  const row = yield* tx.get('trash', deltaKey(trieKey));
  return row && rowToSwept(room, row);
}

/** A page of what has content, with it [FL15]. What a disk has lost half of is left out. */
export function* readTrash(
  tx: Transaction,
  room: RoomRef,
  limit: number,
  after?: Trashed,
): Steps<readonly (Trashed & Swept)[]> {
  const places = yield* listTrash(tx, limit, after, 1);
  const swept = yield* together(places.map(({ trieKey }) => readTrashed(tx, room, trieKey)));
  return places.flatMap((place, i) => (swept[i] === undefined ? [] : [{ ...place, ...swept[i] }]));
}

/** Takes one out of the trash, whatever becomes of it. False where it is not there any more, or came there at another time than `sinceMs`. */
export function* forgetTrashed(tx: Transaction, trieKey: Uint8Array, sinceMs?: number): Steps<boolean> {
  const row = yield* tx.get('trash', deltaKey(trieKey));
  if (row === undefined) return false;
  const since = bytesToU64(row);
  if (since !== (sinceMs ?? since)) return false;
  tx.delete('trash', sinceKey(since, trieKey));
  tx.delete('trash', deltaKey(trieKey));
  return true;
}

/** The same for an application, by the place that it was told. */
export const takeFromTrash = (tx: Transaction, { sinceMs, trieKey }: Trashed): Steps<boolean> =>
  forgetTrashed(tx, trieKey, sinceMs);

/** How an application names what is in the trash. */
export const trashedToName = ({ sinceMs, trieKey }: Trashed): string =>
  bytesToHex(concatBytes(u64ToBytes(sinceMs), trieKey));

/** Throws `NOT_IN_TRASH` for what names nothing that could be there: tombstones are nobody's to take. */
export function nameToTrashed(name: string): Trashed {
  const bytes = NAME.test(name) ? hexToBytes(name) : new Uint8Array(STAMP_BYTES);
  const sinceMs = bytesToU64(bytes);
  if (sinceMs < 1) throw new MangroveError('NOT_IN_TRASH');
  return { sinceMs, trieKey: bytes.slice(STAMP_BYTES) };
}

/** Deletes the oldest that came there before `beforeMs`, at most `limit` of them. How many that were. */
export function* pruneTrash(tx: Transaction, beforeMs: number, limit: number): Steps<number> {
  return yield* prune(tx, 1, beforeMs, limit);
}

/**
 * Deletes tombstones that are there in case an own floor is refused, unless something may yet be, and forgets their keys; at most `limit`.
 * How many that were.
 */
export function* pruneTombstones(tx: Transaction, room: RoomRef, limit: number): Steps<number> {
  if ((yield* tx.keys('outbox', { from: new Uint8Array(), limit: 1 })).length > 0) return 0;
  const keys = yield* tx.keys('trash', { from: Uint8Array.of(SINCE), to: at(1), limit });
  const rows = yield* tx.getMany(
    'trash',
    keys.map((key) => deltaKey(key.slice(key.length - TRIE_KEY_BYTES))),
  );
  const deltas = rows.flatMap((row) => (row === undefined ? [] : [rowToSwept(room, row).delta]));
  yield* forgetKeys(tx, deltas);
  return yield* prune(tx, 0, 1, limit);
}

/** Throws a typed error for a row that cannot be read. */
export function assertReadableTrash(room: RoomRef, key: Uint8Array, row: Uint8Array): void {
  if (key[0] === DELTA) rowToSwept(room, row);
}

/** Whether tombstones are there in case an own floor is refused. */
export function* keepsTombstones(tx: Transaction): Steps<boolean> {
  return (yield* tx.keys('trash', { from: Uint8Array.of(SINCE), to: at(1), limit: 1 })).length > 0;
}

function* prune(tx: Transaction, fromMs: number, beforeMs: number, limit: number): Steps<number> {
  const keys = yield* tx.keys('trash', { from: at(fromMs), to: at(Math.max(fromMs, Math.floor(beforeMs))), limit });
  for (const key of keys) {
    tx.delete('trash', key);
    tx.delete('trash', deltaKey(key.slice(key.length - TRIE_KEY_BYTES)));
  }
  return keys.length;
}

const sweptToRow = ({ delta, why, by }: Swept, sinceMs: number): Uint8Array =>
  concatBytes(u64ToBytes(sinceMs), Uint8Array.of(REASONS.indexOf(why)), idToBytes(by), delta.bytes);

function rowToSwept({ hash, roomId }: RoomRef, row: Uint8Array): Swept {
  return decodeRow('trash', row, (decoder) => {
    readU64(decoder);
    const why = REASONS[readU8(decoder)];
    if (why === undefined) throw new Error('undecodable');
    const by = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
    return { why, by, delta: bytesToDelta(hash, roomId, decoding.readTailAsUint8Array(decoder)) };
  });
}

const at = (ms: number): Uint8Array => concatBytes(Uint8Array.of(SINCE), u64ToBytes(ms));

const sinceKey = (sinceMs: number, trieKey: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(SINCE), u64ToBytes(Math.max(0, Math.floor(sinceMs))), trieKey);

const deltaKey = (trieKey: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(DELTA), trieKey);
