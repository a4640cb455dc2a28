import { bytesToU64, concatBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { type Delta, parseTrieKey, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import { HASH_BYTES, type Hash } from '../hash.js';
import type { Hlc } from '../hlc.js';
import { idToBytes, type ReplicaId } from '../ids.js';
import { readRoot } from '../merkle/trie.js';
import { PART_BYTES } from '../parts.js';
import type { Row, Steps, Transaction } from '../store/plan.js';
import { toEntry } from '../stub.js';
import type { VersionVector } from '../version-vector.js';
import { type Acceptance, type AcceptOptions, acceptDeltas, type RoomRef } from './accept.js';
import { areListed } from './listed.js';
import { isNews, type Outcome } from './outcome.js';
import { noteTaken } from './taken.js';
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
const LOG_ROW_BYTES = ROLL_BYTES + TRIE_KEY_BYTES + 16;
const POSITION_BYTES = 16 + ROLL_BYTES;

const POSITION = utf8ToBytes('position');
/** The offset from which the log is looked through next. */
const SWEPT = utf8ToBytes('log-swept');
/** What the deltas weighed whose rows were swept out of the log. */
const DROPPED = utf8ToBytes('log-dropped');
const PAGE_ROWS = 256;
const PAGE_BYTES = 128 * 1024;
/** What is read for one page, as a large delta is read to make its stub. */
const READ_BYTES = 8 * 1024 * 1024;

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
  const fresh = deltas.filter((_, i) => isNews(acceptance.outcomes[i] as Outcome));
  let { offset, roll, bytes } = yield* readLogEnd(tx);
  for (const delta of fresh) {
    offset++;
    roll = nextRoll(room.hash, roll, delta);
    const { length } = delta.bytes;
    tx.put('log', u64ToBytes(offset), concatBytes(roll, trieKeyOf(delta), u64ToBytes(bytes), u64ToBytes(length)));
    bytes += length;
  }
  if (options.from === 'author') yield* noteTaken(tx, deltas, acceptance.outcomes);
  if (fresh.length > 0) tx.put('meta', POSITION, concatBytes(u64ToBytes(offset), roll, u64ToBytes(bytes)));
  return { ...acceptance, fresh, position: { offset, roll, root: acceptance.root } };
}

export function* readPosition(tx: Transaction): Steps<Position> {
  const { root } = yield* readRoot(tx);
  const { offset, roll } = yield* readLogEnd(tx);
  return { offset, roll, root };
}

/** What was logged after an offset: how many deltas, and how many bytes they had. Superseded ones count, though they are not sent. */
export function* readAhead(tx: Transaction, after: number): Steps<{ readonly deltas: number; readonly bytes: number }> {
  const { offset, bytes } = yield* readLogEnd(tx);
  const [next] = yield* tx.rows('log', { from: u64ToBytes(after + 1), limit: 1 });
  return { deltas: Math.max(0, offset - after), bytes: next === undefined ? 0 : bytes - bytesBeforeRow(next[1]) };
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

/** The deltas logged after `after` that still stand, as they are sent, with their dots' replicas for the vector at the end. */
export function* readLogPage(
  tx: Transaction,
  room: RoomRef,
  after: number,
  met: readonly ReplicaId[],
): Steps<LogPage & { met: readonly ReplicaId[] }> {
  const all = yield* tx.rows('log', { from: u64ToBytes(after + 1), limit: PAGE_ROWS });
  const rows = all.slice(0, countForPage(all));
  const trieKeys = rows.map(([, value]) => trieKeyOfRow(value));
  const values = yield* tx.getMany('deltas', trieKeys);
  const deltas = values.flatMap((value) => (value === undefined ? [] : [toEntry(room.hash, room.roomId, value)]));
  const nowMet = [...new Set([...met, ...trieKeys.map((key) => parseTrieKey(key).replica)])];
  const last = rows.at(-1);
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
  let droppedBytes = 0;
  for (const [key, value] of rows) {
    const trieKey = trieKeyOfRow(value);
    if (parseTrieKey(trieKey).hlc >= before) continue;
    if ((yield* areListed(tx, 'deltas', [trieKey])).includes(true)) continue;
    tx.delete('log', key);
    droppedBytes += sizeOfRow(value);
  }
  if (droppedBytes > 0) tx.put('meta', DROPPED, u64ToBytes(droppedBytes + (yield* readDroppedBytes(tx))));
  const last = rows.at(-1);
  const isAtEnd = last === undefined || rows.length < limit;
  if (isAtEnd) tx.delete('meta', SWEPT);
  else tx.put('meta', SWEPT, u64ToBytes(bytesToU64(last[0]) + 1));
  return isAtEnd;
}

/** What the deltas of the log weigh: those that stand, and those that are kept for a while after something took their place. */
export function* readLogBytes(tx: Transaction): Steps<number> {
  const { bytes } = yield* readLogEnd(tx);
  return Math.max(0, bytes - (yield* readDroppedBytes(tx)));
}

function* readDroppedBytes(tx: Transaction): Steps<number> {
  const row = yield* tx.get('meta', DROPPED);
  return row === undefined ? 0 : bytesToU64(row);
}

/** Rows say how large their deltas are, so that no more is read than goes into a page; one at least. */
function countForPage(rows: readonly Row[]): number {
  let sent = 0;
  let read = 0;
  for (const [i, [, row]] of rows.entries()) {
    const size = sizeOfRow(row);
    read += size;
    sent += size > PART_BYTES ? stubBytesAbout(size) : size;
    if (i > 0 && (sent > PAGE_BYTES || read > READ_BYTES)) return i;
  }
  return rows.length;
}

/** The hashes of the parts, and a header of a usual size. */
const stubBytesAbout = (deltaBytes: number): number => 300 + HASH_BYTES * Math.ceil(deltaBytes / PART_BYTES);

/** What the log weighed before a row was added. */
const bytesBeforeRow = (row: Uint8Array): number => bytesToU64(row, ROLL_BYTES + TRIE_KEY_BYTES);

const sizeOfRow = (row: Uint8Array): number => bytesToU64(row, ROLL_BYTES + TRIE_KEY_BYTES + 8);

const trieKeyOfRow = (row: Uint8Array): Uint8Array => row.slice(ROLL_BYTES, ROLL_BYTES + TRIE_KEY_BYTES);

/** Where the log ends, and what all of its deltas weigh together. */
export function* readLogEnd(tx: Transaction): Steps<Omit<Position, 'root'> & { readonly bytes: number }> {
  const row = yield* tx.get('meta', POSITION);
  return row === undefined
    ? { offset: 0, roll: new Uint8Array(ROLL_BYTES), bytes: 0 }
    : { offset: bytesToU64(row), roll: row.slice(8, 8 + ROLL_BYTES), bytes: bytesToU64(row, 8 + ROLL_BYTES) };
}

/** Where the log's end is not known any more, its last entry tells [AE2]. True where it had to. */
export function* restoreLogEnd(tx: Transaction): Steps<boolean> {
  const [last] = yield* tx.rows('log', { from: new Uint8Array(), reverse: true, limit: 1 });
  if (last === undefined || last[1].length !== LOG_ROW_BYTES) return false;
  const [key, value] = last;
  const stored = yield* tx.get('meta', POSITION);
  const isKnown = stored?.length === POSITION_BYTES && bytesToU64(stored) >= bytesToU64(key);
  if (isKnown) return false;
  const bytes = bytesBeforeRow(value) + bytesToU64(value, LOG_ROW_BYTES - 8);
  tx.put('meta', POSITION, concatBytes(key, value.slice(0, ROLL_BYTES), u64ToBytes(bytes)));
  return true;
}

function nextRoll(hash: Hash, roll: Uint8Array, delta: Delta): Uint8Array {
  return hash(concatBytes(roll, idToBytes(delta.id))).slice(0, ROLL_BYTES);
}
