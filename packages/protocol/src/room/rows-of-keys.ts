import { keyAfter } from '../bytes.js';
import { bytesToKeyId, KEY_ID_BYTES, type KeyId } from '../ids.js';
import { readRoot } from '../merkle/trie.js';
import { type Row, type Steps, together, type Transaction } from '../store/plan.js';
import type { RoomRef } from './room-ref.js';

/** Keys that one step looks for, each by itself. */
export const STEP_KEYS = 128;
/** To look for one key costs about what it costs to pass so many keys of others. */
const PASSED_PER_KEY = 32;
/** Keys that one step passes. Its rows are read in the next one, and a value weighs up to 64 KiB. */
const STEP_PASSED = 1_024;

/** Both begin their keys with the keyId. */
export type KeyTable = 'deltas' | 'journal';

/**
 * Whether the rows of so many keys are found sooner by passing all keys of the room than one by one. In a room of full history they are not, as
 * most of what would be passed and read is past.
 */
export function* isPassedSooner(tx: Transaction, room: RoomRef, keyCount: number): Steps<boolean> {
  if (room.history === 'full' || keyCount <= STEP_KEYS) return false;
  return (yield* readRoot(tx)).count <= keyCount * PASSED_PER_KEY;
}

/**
 * Passes all keys of the room, without their bodies, and reads rows that follow one another in one request. What is wanted comes in the order in
 * which it is passed.
 */
export function* readRowsOf(
  tx: Transaction,
  table: KeyTable,
  wanted: ReadonlySet<KeyId>,
): Steps<ReadonlyMap<KeyId, readonly Row[]>> {
  const found = new Map<KeyId, Row[]>();
  for (let from: Uint8Array = new Uint8Array(); ; ) {
    const keys = yield* tx.keys(table, { from, limit: STEP_PASSED });
    const runs = runsOf(keys, wanted).map(([first, last]) => tx.rows(table, { from: first, to: keyAfter(last) }));
    for (const row of (yield* together(runs)).flat()) {
      const rows = found.get(keyIdOf(row[0]));
      if (rows === undefined) found.set(keyIdOf(row[0]), [row]);
      else rows.push(row);
    }
    const last = keys.at(-1);
    if (last === undefined || keys.length < STEP_PASSED) return found;
    from = keyAfter(last);
  }
}

/** First and last of those that are wanted and follow one another. What lies between them may be a document's, of any size. */
function runsOf(
  keys: readonly Uint8Array[],
  wanted: ReadonlySet<KeyId>,
): readonly (readonly [Uint8Array, Uint8Array])[] {
  const runs: [Uint8Array, Uint8Array][] = [];
  let run: [Uint8Array, Uint8Array] | undefined;
  for (const key of keys) {
    if (!wanted.has(keyIdOf(key))) run = undefined;
    else if (run !== undefined) run[1] = key;
    else runs.push((run = [key, key]));
  }
  return runs;
}

const keyIdOf = (key: Uint8Array): KeyId => bytesToKeyId(key.subarray(0, KEY_ID_BYTES));
