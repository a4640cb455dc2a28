import { keyAfter } from '../bytes.js';
import { type Steps, together, type Transaction } from '../store/plan.js';
import type { Table } from '../store/table.js';

/** Whether each of these keys is there. Its value is not read for that: bodies weigh megabytes. */
export function* areListed(tx: Transaction, table: Table, keys: readonly Uint8Array[]): Steps<readonly boolean[]> {
  const found = yield* together(keys.map((key) => tx.keys(table, { from: key, to: keyAfter(key), limit: 1 })));
  return found.map((listed) => listed.length > 0);
}
