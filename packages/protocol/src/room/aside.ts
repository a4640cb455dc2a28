import { concatBytes, prefixEnd, utf8ToBytes } from '../bytes.js';
import type { Row, Steps, Transaction } from '../store/plan.js';

/** In `meta`: `aside • key` → the bytes of a row that cannot be read: of the journal, or of a delta that no relay has acknowledged [AE2]. */
export const ASIDE = utf8ToBytes('aside ');

/** Takes a row out of its table, where it would hold up all others, and keeps what is left of it: nobody else has what it said. */
export function putAside(tx: Transaction, table: 'journal' | 'deltas', key: Uint8Array, row: Uint8Array): void {
  tx.delete(table, key);
  tx.put('meta', concatBytes(ASIDE, key), row);
}

export function* countPutAside(tx: Transaction): Steps<number> {
  return (yield* tx.keys('meta', { from: ASIDE, to: prefixEnd(ASIDE) })).length;
}

/** What was put aside, under the keys that it had: for whoever can make something of it. */
export function* readPutAside(tx: Transaction): Steps<readonly Row[]> {
  const rows = yield* tx.rows('meta', { from: ASIDE, to: prefixEnd(ASIDE) });
  return rows.map(([key, row]) => [key.slice(ASIDE.length), row] as const);
}
