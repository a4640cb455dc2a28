import {
  asImport,
  type JournalRow,
  keepRows,
  readNumber,
  type Steps,
  type Transaction,
  writeNumber,
} from '@mangrove/protocol';

/** What a room takes along from a store that has failed [JS8]. */
export interface Carried {
  /** Written in this tab, and acknowledged by no relay. */
  readonly rows: readonly JournalRow[];
  /** The number of the last row that the failed store gave: the next one gives higher ones, as receipts still name those. */
  readonly row: number;
  /** Writes that somebody may ask for, and that were on the failed store alone. */
  readonly lost: readonly number[];
}

/** Their numbers in the new store, in the order of `rows`. */
export function* carry(tx: Transaction, { rows, row }: Carried): Steps<readonly number[]> {
  writeNumber(tx, 'row', Math.max(row, yield* readNumber(tx, 'row')));
  return (yield* keepRows(tx, rows.map(asImport))).map(({ number }) => number);
}
