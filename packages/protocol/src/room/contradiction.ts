import { equalBytes, keyAfter } from '../bytes.js';
import type { Row, Steps, Transaction } from '../store/plan.js';
import type { Table } from '../store/table.js';
import { areListed } from './listed.js';

/** Tables whose rows hold whole deltas: a scrub reads those of `deltas` anyway, and the others are asked for without their values. */
const HEAVY: ReadonlySet<Table> = new Set(['deltas', 'retained', 'trash', 'quarantine', 'incoming', 'merged']);

export interface ComparedPage {
  readonly rows: number;
  /** Rows that one way of reading knows and another does not. */
  readonly contradicting: number;
  /** The last key that was compared; undefined at the end of the table. */
  readonly last: Uint8Array | undefined;
}

/**
 * [AE8] Reads the next `limit` rows of a table forwards, backwards and one by one. Where an index is spoiled, one of these gives what
 * another does not; such rows are written anew.
 */
export function* settleContradictions(
  tx: Transaction,
  table: Table,
  from: Uint8Array,
  limit: number,
): Steps<ComparedPage> {
  const forth = yield* tx.keys(table, { from, limit });
  const end = forth.length === 0 ? from : keyAfter(forth.at(-1) as Uint8Array);
  const back = forth.length === 0 ? [] : yield* readBack(tx, table, from, end, limit);
  // Where the table seems to end: an end that came too soon shows from behind.
  const beyond = forth.length < limit ? (yield* readBack(tx, table, end, undefined, limit)).slice(0, limit) : [];
  const odd = isSame(forth, back) ? beyond : [...without(forth, back), ...without(back, forth), ...beyond];
  const found = table === 'deltas' ? undefined : yield* findEach(tx, table, forth);
  if (found !== undefined) odd.push(...forth.filter((_, i) => !found[i]));
  yield* rewriteRows(tx, table, odd, from);
  const last = beyond.at(-1) ?? (forth.length < limit ? undefined : forth.at(-1));
  return { rows: forth.length + beyond.length, contradicting: odd.length, last };
}

/** All keys of a range, read from its end, a page at a time; ascending. */
function* readBack(
  tx: Transaction,
  table: Table,
  from: Uint8Array,
  end: Uint8Array | undefined,
  limit: number,
): Steps<Uint8Array[]> {
  const keys: Uint8Array[] = [];
  for (let to = end; ; to = keys.at(-1)) {
    const page = yield* tx.keys(table, { from, to, limit, reverse: true });
    keys.push(...page);
    if (page.length < limit) return keys.reverse();
  }
}

/** Writes rows anew, as both an entry of the index and a row, whichever way of reading still gives them. What none gives is deleted. */
export function* rewriteRows(
  tx: Transaction,
  table: Table,
  keys: readonly Uint8Array[],
  from: Uint8Array,
): Steps<void> {
  for (const key of keys) {
    const value = yield* readAnyhow(tx, table, key, from);
    if (value === undefined) tx.delete(table, key);
    else tx.rewrite(table, key, value);
  }
}

/** By its key, as a range of its own, and as the last of all that lie above `from`. */
export function* readAnyhow(
  tx: Transaction,
  table: Table,
  key: Uint8Array,
  from: Uint8Array,
): Steps<Uint8Array | undefined> {
  const value = yield* tx.get(table, key);
  if (value !== undefined) return value;
  const to = keyAfter(key);
  for (const range of [
    { from: key, to },
    { from, to, limit: 1, reverse: true },
  ]) {
    const found = (yield* tx.rows(table, range)).find((row: Row) => equalBytes(row[0], key));
    if (found !== undefined) return found[1];
  }
  // From the row before it, which may be a long way off where there is none.
  const before = (yield* tx.keys(table, { from, to })).findLast((one) => !equalBytes(one, key)) ?? from;
  return (yield* tx.rows(table, { from: before, to })).find((row: Row) => equalBytes(row[0], key))?.[1];
}

function* findEach(tx: Transaction, table: Table, keys: readonly Uint8Array[]): Steps<readonly boolean[]> {
  if (!HEAVY.has(table)) return (yield* tx.getMany(table, keys)).map((value) => value !== undefined);
  return yield* areListed(tx, table, keys);
}

function isSame(some: readonly Uint8Array[], others: readonly Uint8Array[]): boolean {
  return some.length === others.length && some.every((key, i) => equalBytes(key, others[i] as Uint8Array));
}

const without = (some: readonly Uint8Array[], others: readonly Uint8Array[]): Uint8Array[] =>
  some.filter((key) => !others.some((other) => equalBytes(key, other)));
