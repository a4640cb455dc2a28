import {
  bytesToHex,
  bytesToU64,
  concatBytes,
  equalBytes,
  type Steps,
  type Transaction,
  u64ToBytes,
  utf8ToBytes,
} from '@mangrove/protocol';
import { INSTANCE_BYTES } from './entry.js';

// What a relay of a fleet keeps beside a room: how far it has come in the room's log, and what decides with it about the next entry.

/** `meta`: where the copy of the room stands in the room's log. */
export const STATE = utf8ToBytes('fleet');
/** `meta`: of whoever proposed lately, the number of its last entry that was applied: instance 8 • u64 number • u64 nowMs of it. */
const PROPOSERS = utf8ToBytes('fleet-proposers');
/** `meta`: prefix • replica 8 → token 16 of its newest connection [RF6]. */
const WRITER = utf8ToBytes('fleet-writer ');

const PROPOSER_BYTES = INSTANCE_BYTES + 16;
/** Of more than so many, those go that proposed nothing for a day. */
const PROPOSERS_MANY = 64;
const PROPOSER_MS = 86_400_000;

export interface SharedState {
  /** Position of the last entry that was applied. */
  readonly applied: number;
  /** How many entries were applied since the room began, also before the log was cut. */
  readonly index: number;
  /** Bytes of the entries since the last cut. */
  readonly bytesSinceCut: number;
  /** Positions of parts: at or below the first nothing is to be relied on, the others were named up to the last cut, and up to now. */
  readonly partsGone: number;
  readonly partsBeforeCut: number;
  readonly partsSeen: number;
  /** While rows of a state are written, which is begun anew where it was cut off. */
  readonly isLoading: boolean;
}

export const NOTHING_APPLIED: SharedState = {
  applied: 0,
  index: 0,
  bytesSinceCut: 0,
  partsGone: 0,
  partsBeforeCut: 0,
  partsSeen: 0,
  isLoading: false,
};

export function* readShared(tx: Transaction): Steps<SharedState> {
  const row = yield* tx.get('meta', STATE);
  if (row === undefined) return NOTHING_APPLIED;
  const [applied, index, bytesSinceCut, partsGone, partsBeforeCut, partsSeen, loading] = Array.from(
    { length: 7 },
    (_, i) => bytesToU64(row, 8 * i),
  ) as [number, number, number, number, number, number, number];
  return { applied, index, bytesSinceCut, partsGone, partsBeforeCut, partsSeen, isLoading: loading === 1 };
}

export function writeShared(tx: Transaction, state: SharedState): void {
  const { applied, index, bytesSinceCut, partsGone, partsBeforeCut, partsSeen, isLoading } = state;
  const numbers = [applied, index, bytesSinceCut, partsGone, partsBeforeCut, partsSeen, isLoading ? 1 : 0];
  tx.put('meta', STATE, concatBytes(...numbers.map(u64ToBytes)));
}

/** Whether this number of this proposer is new; it is not from now on. */
export function* takeNumber(tx: Transaction, instance: Uint8Array, number: number, nowMs: number): Steps<boolean> {
  const row = (yield* tx.get('meta', PROPOSERS)) ?? new Uint8Array();
  const entries = Array.from({ length: row.length / PROPOSER_BYTES }, (_, i) =>
    row.slice(i * PROPOSER_BYTES, (i + 1) * PROPOSER_BYTES),
  );
  const isOf = (entry: Uint8Array): boolean => equalBytes(entry.subarray(0, INSTANCE_BYTES), instance);
  const before = entries.find(isOf);
  if (before !== undefined && bytesToU64(before, INSTANCE_BYTES) >= number) return false;
  const isLately = (entry: Uint8Array): boolean => bytesToU64(entry, INSTANCE_BYTES + 8) > nowMs - PROPOSER_MS;
  const others = entries.filter((entry) => !isOf(entry) && (entries.length < PROPOSERS_MANY || isLately(entry)));
  tx.put('meta', PROPOSERS, concatBytes(...others, instance, u64ToBytes(number), u64ToBytes(nowMs)));
  return true;
}

export function* readWriter(tx: Transaction, replica: Uint8Array): Steps<Uint8Array | undefined> {
  return yield* tx.get('meta', concatBytes(WRITER, replica));
}

/** Whether this connection is its replica's newest now. Where it says so again nothing changes. */
export function* enterWriter(
  tx: Transaction,
  replica: Uint8Array,
  token: Uint8Array,
  before: Uint8Array | undefined,
): Steps<boolean> {
  const now = yield* readWriter(tx, replica);
  if (now !== undefined && equalBytes(now, token)) return true;
  if (!isSame(now, before)) return false;
  tx.put('meta', concatBytes(WRITER, replica), token);
  return true;
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : bytesToHex(a) === bytesToHex(b);
