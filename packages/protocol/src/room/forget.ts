import { bodyOfDelta } from '../body.js';
import { prefixEnd } from '../bytes.js';
import type { Delta } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { idToBytes } from '../ids.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { nameKey } from './name-key.js';

/** Keys that are looked at in one step. */
const KEYS_STEP = 64;

/**
 * Forgets the names of these deltas' keys, and what came last of the own replica there, where nothing of the key is left [FL14]. Whatever
 * comes late of it lies under the floor, so that a new write needs to name nothing.
 */
export function* forgetKeys(tx: Transaction, deltas: readonly Delta[]): Steps<void> {
  const byKey = [...new Map(deltas.map((delta) => [delta.keyId, delta])).values()];
  for (let at = 0; at < byKey.length; at += KEYS_STEP)
    yield* together(byKey.slice(at, at + KEYS_STEP).map((delta) => forgetKey(tx, delta)));
}

function* forgetKey(tx: Transaction, delta: Delta): Steps<void> {
  const from = idToBytes(delta.keyId);
  const range = { from, to: prefixEnd(from) };
  for (const table of ['deltas', 'journal'] as const)
    if ((yield* tx.keys(table, { ...range, limit: 1 })).length > 0) return;
  for (const key of yield* tx.keys('previous', range)) tx.delete('previous', key);
  try {
    tx.delete('names', nameKey(bodyOfDelta(delta).name));
  } catch (error) {
    // It was quarantined, and has no name here.
    if (!isMangroveError(error)) throw error;
  }
}
