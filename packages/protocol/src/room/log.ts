import { bytesToU64, concatBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { type Delta, parseTrieKey, trieKeyOf } from '../delta.js';
import type { Hash } from '../hash.js';
import type { Hlc } from '../hlc.js';
import { idToBytes, type ReplicaId } from '../ids.js';
import { readRoot } from '../merkle/trie.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { VersionVector } from '../version-vector.js';
import { type Acceptance, type AcceptOptions, acceptDeltas, type RoomRef } from './accept.js';
import { fetchWhileSmall } from './fetch.js';
import { readSeqs } from './vector.js';

/** Where a relay's log stands [SY2]. */
export interface Position {
  readonly offset: number;
  /** 8 bytes that depend on every id up to this offset. */
  readonly roll: Uint8Array;
  readonly root: Uint8Array;
}

export const ROLL_BYTES = 8;
export const STORE_ID_BYTES = 8;

const POSITION = utf8ToBytes('position');
/** The offset from which the log is looked through next. */
const SWEPT = utf8ToBytes('log-swept');
const PAGE_ROWS = 256;
const PAGE_BYTES = 128 * 1024;

/** A page of a relay's log. Entries that are superseded by now are passed over. */
export interface LogPage {
  readonly deltas: readonly Uint8Array[];
  /** Where the page ends. */
  readonly end: Omit<Position, 'root'>;
  /** Undefined until the log's end is reached: then where the log stands and how far the replicas met on the way have come. */
  readonly caughtUp: Position | undefined;
  readonly vector: VersionVector;
}

/** Accepts deltas as {@link acceptDeltas} and numbers those that are new [SY2]. */
export function* acceptAndLog(
  tx: Transaction,
  room: RoomRef,
  deltas: readonly Delta[],
  options: AcceptOptions,
): Steps<Acceptance & { readonly position: Position; readonly fresh: readonly Delta[] }> {
  const acceptance = yield* acceptDeltas(tx, room, deltas, options);
  const fresh = deltas.filter((_, i) => {
    const outcome = acceptance.outcomes[i];
    return outcome === 'added' || outcome === 'forked' || outcome === 'superseded';
  });
  let { offset, roll } = yield* readEnd(tx);
  for (const delta of fresh) {
    offset++;
    roll = nextRoll(room.hash, roll, delta);
    tx.put('log', u64ToBytes(offset), concatBytes(roll, trieKeyOf(delta)));
  }
  if (fresh.length > 0) tx.put('meta', POSITION, concatBytes(u64ToBytes(offset), roll));
  return { ...acceptance, fresh, position: { offset, roll, root: acceptance.root } };
}

export function* readPosition(tx: Transaction): Steps<Position> {
  const { root } = yield* readRoot(tx);
  return { ...(yield* readEnd(tx)), root };
}

/** True when the log has this roll at this offset: a cursor into another history, or one restored from a copy, has not. */
export function* isCursorValid(
  tx: Transaction,
  cursor: { readonly offset: number; readonly roll: Uint8Array },
): Steps<boolean> {
  if (cursor.offset === 0) return true;
  const row = yield* tx.get('log', u64ToBytes(cursor.offset));
  return row !== undefined && cursor.roll.every((byte, i) => row[i] === byte);
}

/** The deltas logged after `after` that still stand, with their dots' replicas for the vector at the end. */
export function* readLogPage(
  tx: Transaction,
  after: number,
  met: readonly ReplicaId[],
): Steps<LogPage & { met: readonly ReplicaId[] }> {
  const rows = yield* tx.rows('log', { from: u64ToBytes(after + 1), limit: PAGE_ROWS });
  const trieKeys = rows.map(([, value]) => value.slice(ROLL_BYTES));
  const values = yield* fetchWhileSmall(tx, trieKeys, PAGE_BYTES);
  const deltas: Uint8Array[] = [];
  let bytes = 0;
  let taken = 0;
  for (const value of values) {
    if (value !== undefined && deltas.length > 0 && bytes + value.length > PAGE_BYTES) break;
    taken++;
    if (value === undefined) continue;
    deltas.push(value);
    bytes += value.length;
  }
  const nowMet = [...new Set([...met, ...trieKeys.slice(0, taken).map((key) => parseTrieKey(key).replica)])];
  const last = rows[taken - 1];
  const position = yield* readPosition(tx);
  const end =
    last === undefined
      ? { offset: position.offset, roll: position.roll }
      : { offset: bytesToU64(last[0]), roll: last[1].slice(0, ROLL_BYTES) };
  const caughtUp = end.offset === position.offset ? position : undefined;
  const vector = caughtUp === undefined ? new Map<ReplicaId, number>() : new Map(yield* readSeqs(tx, nowMet));
  return { deltas, end, caughtUp, vector, met: nowMet };
}

/**
 * Looks at the next `limit` entries of the log and drops those of deltas that stand no more and were sealed before `before`: nobody is
 * sent them. A cursor at one that is gone counts no more, and its owner catches up by vector. True when this round through the log
 * has come to its end; the next call begins anew.
 */
export function* sweepLog(tx: Transaction, before: Hlc, limit: number): Steps<boolean> {
  const swept = yield* tx.get('meta', SWEPT);
  const rows = yield* tx.rows('log', { from: swept ?? new Uint8Array(), limit });
  for (const [key, value] of rows) {
    const trieKey = value.slice(ROLL_BYTES);
    if (parseTrieKey(trieKey).hlc >= before) continue;
    // Only whether it is there: the largest bodies need not be read for that.
    const found = yield* tx.keys('deltas', { from: trieKey, to: concatBytes(trieKey, Uint8Array.of(0)), limit: 1 });
    if (found.length === 0) tx.delete('log', key);
  }
  const last = rows.at(-1);
  const isAtEnd = last === undefined || rows.length < limit;
  if (isAtEnd) tx.delete('meta', SWEPT);
  else tx.put('meta', SWEPT, u64ToBytes(bytesToU64(last[0]) + 1));
  return isAtEnd;
}

function* readEnd(tx: Transaction): Steps<Omit<Position, 'root'>> {
  const row = yield* tx.get('meta', POSITION);
  return row === undefined
    ? { offset: 0, roll: new Uint8Array(ROLL_BYTES) }
    : { offset: bytesToU64(row), roll: row.slice(8) };
}

function nextRoll(hash: Hash, roll: Uint8Array, delta: Delta): Uint8Array {
  return hash(concatBytes(roll, idToBytes(delta.id))).slice(0, ROLL_BYTES);
}
