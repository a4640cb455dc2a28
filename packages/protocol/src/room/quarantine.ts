import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { concatBytes, hexToBytes, keyAfter, u64ToBytes } from '../bytes.js';
import { decodeRow, encode, readU64, readVarUint } from '../codec.js';
import { bytesToDelta, type Delta } from '../delta.js';
import { type ErrorCode, errorCodeFromWire, errorCodeToWire } from '../errors.js';
import { bytesToDeltaId, type DeltaId, idToBytes } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './room-ref.js';

/** A delta that is kept apart and not read, and why: its signature is bad [SY10], or what it says cannot be used [CX8, CP6]. */
export interface Rejected {
  readonly delta: Delta;
  readonly fault: ErrorCode;
}

export interface Quarantined extends Rejected {
  /** When it was found out, in ms; undefined for what was so before that was noted. */
  readonly sinceMs: number | undefined;
}

/** `row := varUint code • [u64 sinceMs] • delta`: a delta begins with a 1, and no time that is far off does. */
const DELTA_FORMAT = 1;

/** What was there for the same reason stays as it is: sent again it is not newer. */
export function* putInQuarantine(tx: Transaction, rejected: readonly Rejected[], nowMs: number): Steps<void> {
  const rows = yield* tx.getMany(
    'quarantine',
    rejected.map(({ delta }) => idToBytes(delta.id)),
  );
  const since = u64ToBytes(Math.max(0, Math.floor(nowMs)));
  for (const [i, { delta, fault }] of rejected.entries()) {
    const row = rows[i];
    if (row !== undefined && faultOfQuarantine(row) === fault) continue;
    const code = encode((encoder) => encoding.writeVarUint(encoder, errorCodeToWire(fault)));
    tx.put('quarantine', idToBytes(delta.id), concatBytes(code, since, delta.bytes));
  }
}

export function* readQuarantine(tx: Transaction, room: RoomRef): Steps<readonly Quarantined[]> {
  const rows = yield* tx.rows('quarantine', { from: new Uint8Array() });
  return rows.map(([, row]) => rowToQuarantined(room, row));
}

/** A page of their ids, in the order of these. */
export function* listQuarantine(tx: Transaction, limit: number, after?: DeltaId): Steps<readonly DeltaId[]> {
  const from = after === undefined ? new Uint8Array() : keyAfter(hexToBytes(after));
  return (yield* tx.keys('quarantine', { from, limit })).map(bytesToDeltaId);
}

/** Undefined where it is not there any more. */
export function* readQuarantined(tx: Transaction, room: RoomRef, id: DeltaId): Steps<Quarantined | undefined> {
  const row = yield* tx.get('quarantine', idToBytes(id));
  return row && rowToQuarantined(room, row);
}

/** Why the delta of a row of `quarantine` is there. */
export function faultOfQuarantine(row: Uint8Array): ErrorCode {
  return decodeRow('quarantine', row, (decoder) => {
    const fault = errorCodeFromWire(readVarUint(decoder));
    decoding.readTailAsUint8Array(decoder);
    return fault;
  });
}

function rowToQuarantined({ hash, roomId }: RoomRef, row: Uint8Array): Quarantined {
  return decodeRow('quarantine', row, (decoder) => {
    const fault = errorCodeFromWire(readVarUint(decoder));
    const sinceMs = decoding.peekUint8(decoder) === DELTA_FORMAT ? undefined : readU64(decoder);
    return { fault, sinceMs, delta: bytesToDelta(hash, roomId, decoding.readTailAsUint8Array(decoder)) };
  });
}
