import { concatBytes, prefixEnd, utf8ToBytes } from '../bytes.js';
import type { Row, Steps, Transaction } from '../store/plan.js';

/** In `meta`: `aside • keyId 16 • u64 number` → the bytes of a journal row that cannot be read [AE2]. */
const PREFIX = utf8ToBytes('aside ');

/** Takes a row out of the journal, where it would hold up all others, and keeps what is left of it: nobody else has what it said. */
export function putAside(tx: Transaction, journalKey: Uint8Array, row: Uint8Array): void {
  tx.delete('journal', journalKey);
  tx.put('meta', concatBytes(PREFIX, journalKey), row);
}

/** What was put aside, under the keys that it had in the journal: for whoever can make something of it. */
export function* readPutAside(tx: Transaction): Steps<readonly Row[]> {
  const rows = yield* tx.rows('meta', { from: PREFIX, to: prefixEnd(PREFIX) });
  return rows.map(([key, row]) => [key.slice(PREFIX.length), row] as const);
}
