import { bytesToBody } from '../body.js';
import { bytesToU64, prefixEnd, u64ToBytes } from '../bytes.js';
import { type Delta, FLAG, parseTrieKey } from '../delta.js';
import { HLC_ZERO, type Hlc, hlcFromMs } from '../hlc.js';
import { idToBytes, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import { removeDelta, type RoomRef } from './accept.js';
import { readDot } from './outbox.js';
import { type JournalRow, journalKey, journalRowToBytes } from './journal.js';
import { readClock, readNumber, writeNumber } from './meta.js';

const KEYS_PAGE = 4_096;

/**
 * Takes an own delta that a relay refused out of the set and puts its content back into the journal, from where it is sealed again
 * under another dot [JS5]. Nothing that was written is lost. The rows it became, or undefined where it was not in the outbox any
 * more. A record that has newer rows gets none: they saw it.
 */
export function* withdrawDelta(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  seq: number,
): Steps<readonly JournalRow[] | undefined> {
  const waiting = yield* tx.get('outbox', u64ToBytes(seq));
  if (waiting === undefined) return undefined;
  tx.delete('outbox', u64ToBytes(seq));
  const deltas = yield* readDot(tx, room, { replica, seq });
  const rows: JournalRow[] = [];
  for (const delta of deltas) {
    yield* removeDelta(tx, room, delta);
    yield* forgetPrevious(tx, delta);
    const row = yield* journalAgain(tx, delta);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

/**
 * Sets a clock that ran ahead back to the highest stamp that was really given or accepted: once the deltas with its stamps are
 * withdrawn, nothing that is left was made in that future [HLC4].
 */
export function* resetClock(tx: Transaction, nowMs: number): Steps<void> {
  let highest: Hlc = HLC_ZERO;
  let from = new Uint8Array();
  for (;;) {
    const keys = yield* tx.keys('deltas', { from, limit: KEYS_PAGE });
    for (const key of keys) highest = Math.max(highest, parseTrieKey(key).hlc) as Hlc;
    const last = keys.at(-1);
    if (last === undefined || keys.length < KEYS_PAGE) break;
    from = new Uint8Array([...last, 0]);
  }
  const clock = yield* readClock(tx);
  writeNumber(tx, 'clock', Math.min(clock, Math.max(highest, hlcFromMs(nowMs))));
}

/** The row keeps the context of the write: what the writer had seen has not changed. */
function* journalAgain(tx: Transaction, delta: Delta): Steps<JournalRow | undefined> {
  const { name, payload } = bytesToBody(delta.body);
  if (name.kind === 'record') {
    const prefix = idToBytes(delta.keyId);
    const newer = yield* tx.keys('journal', { from: prefix, to: prefixEnd(prefix), limit: 1 });
    if (newer.length > 0) return undefined;
  }
  const number = (yield* readNumber(tx, 'row')) + 1;
  writeNumber(tx, 'row', number);
  const { keyId, context, nonces } = delta;
  const flags = delta.flags & (FLAG.import | FLAG.seed | FLAG.tombstone);
  const row: JournalRow = { number, keyId, name, flags, writtenAt: delta.writtenAt, context, nonces, payload };
  tx.put('journal', journalKey(row), journalRowToBytes(row));
  return row;
}

function* forgetPrevious(tx: Transaction, delta: Delta): Steps<void> {
  const previous = yield* tx.get('previous', idToBytes(delta.keyId));
  if (previous === undefined || bytesToU64(previous) !== delta.hlc) return;
  if (delta.prev === 0) tx.delete('previous', idToBytes(delta.keyId));
  else tx.put('previous', idToBytes(delta.keyId), u64ToBytes(delta.prev));
}
