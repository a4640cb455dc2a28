import type { KeyId } from '../ids.js';
import { type Steps, together, type Transaction } from '../store/plan.js';
import { bytesToJournalRow, type KeyState, readKeyState } from './journal.js';
import type { RoomRef } from './room-ref.js';
import { isPassedSooner, readRowsOf, STEP_KEYS } from './rows-of-keys.js';
import { rowToDelta } from './set-rows.js';

/** How these keys stand, in their order. Many of them are not looked for one by one. */
export function* readKeyStates(tx: Transaction, room: RoomRef, keyIds: readonly KeyId[]): Steps<readonly KeyState[]> {
  if (!(yield* isPassedSooner(tx, room, keyIds.length))) return yield* readEach(tx, room, keyIds);
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
