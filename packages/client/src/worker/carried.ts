import {
  asImport,
  type JournalRow,
  journalKey,
  keepRows,
  readJournal,
  readNumber,
  type ReplicaId,
  type RoomRef,
  type Steps,
  takeIdentity,
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
  /** Set where they were read from the failed store afterwards: how many could not be, as far as there is a trace of them. */
  readonly salvaged?: { readonly lost: number } | undefined;
}

/** Their numbers in the new store, in the order of `rows`. */
export function* carry(tx: Transaction, { rows, row }: Carried): Steps<readonly number[]> {
  writeNumber(tx, 'row', Math.max(row, yield* readNumber(tx, 'row')));
  return (yield* keepRows(tx, rows.map(asImport))).map(({ number }) => number);
}

/** What a bucket holds of a room that no relay has acknowledged, for the replica of the database that opens again. */
export function* readRescued(tx: Transaction, room: RoomRef, replica: ReplicaId): Steps<Carried> {
  yield* takeIdentity(tx, room, replica);
  const rows = [...(yield* readJournal(tx))].sort((a, b) => a.number - b.number);
  return { rows, row: 0, lost: [] };
}

/** Only when they are in the other database: in between they are in both, and are the same. */
export function* forgetRescued(tx: Transaction, rows: readonly JournalRow[]): Steps<void> {
  for (const row of rows) tx.delete('journal', journalKey(row));
}
