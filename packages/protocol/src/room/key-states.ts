import { concatBytes } from '../bytes.js';
import { bytesToKeyId, KEY_ID_BYTES, type KeyId } from '../ids.js';
import { readRoot } from '../merkle/trie.js';
import { type Row, type Steps, together, type Transaction } from '../store/plan.js';
import { bytesToJournalRow, type KeyState, readKeyState } from './journal.js';
import type { RoomRef } from './room-ref.js';
import { rowToDelta } from './set-rows.js';

/** Keys that one step looks for, each by itself. */
const STEP_KEYS = 128;
/** To look for one key costs about what it costs to pass so many keys of others. */
const PASSED_PER_KEY = 32;
/** Keys that one step passes. Its rows are read in the next one, and a value weighs up to 64 KiB. */
const STEP_PASSED = 1_024;

type KeyTable = 'deltas' | 'journal';

/**
 * How these keys stand, in their order. Many of them are not looked for one by one: all keys of the room are passed, without their bodies, and
 * rows that follow one another are read in one request. In a room of full history each is looked for, as most of what would be passed and read is past.
 */
export function* readKeyStates(tx: Transaction, room: RoomRef, keyIds: readonly KeyId[]): Steps<readonly KeyState[]> {
  if (
    room.history === 'full' ||
    keyIds.length <= STEP_KEYS ||
    (yield* readRoot(tx)).count > keyIds.length * PASSED_PER_KEY
  )
    return yield* readEach(tx, room, keyIds);
  const wanted = new Set(keyIds);
  const deltas = yield* readRowsOf(tx, 'deltas', wanted);
  const rows = yield* readRowsOf(tx, 'journal', wanted);
  return keyIds.map((keyId) => ({
    deltas: (deltas.get(keyId) ?? []).map(([key, value]) => rowToDelta(room, key, value)),
    rows: (rows.get(keyId) ?? []).map(([key, value]) => bytesToJournalRow(key, value)),
  }));
}

function* readEach(tx: Transaction, room: RoomRef, keyIds: readonly KeyId[]): Steps<readonly KeyState[]> {
  const states: KeyState[] = [];
  for (let i = 0; i < keyIds.length; i += STEP_KEYS)
    states.push(...(yield* together(keyIds.slice(i, i + STEP_KEYS).map((keyId) => readKeyState(tx, room, keyId)))));
  return states;
}

/** Both tables begin their keys with the keyId, so what is wanted comes in the order in which it is passed. */
function* readRowsOf(
  tx: Transaction,
  table: KeyTable,
  wanted: ReadonlySet<KeyId>,
): Steps<ReadonlyMap<KeyId, readonly Row[]>> {
  const found = new Map<KeyId, Row[]>();
  for (let from: Uint8Array = new Uint8Array(); ; ) {
    const keys = yield* tx.keys(table, { from, limit: STEP_PASSED });
    const runs = runsOf(keys, wanted).map(([first, last]) => tx.rows(table, { from: first, to: after(last) }));
    for (const row of (yield* together(runs)).flat()) {
      const rows = found.get(keyIdOf(row[0]));
      if (rows === undefined) found.set(keyIdOf(row[0]), [row]);
      else rows.push(row);
    }
    const last = keys.at(-1);
    if (last === undefined || keys.length < STEP_PASSED) return found;
    from = after(last);
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

/** The least key above. */
const after = (key: Uint8Array): Uint8Array => concatBytes(key, new Uint8Array(1));
