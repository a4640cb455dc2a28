import { type Context, highestEntry } from '../context.js';
import { type Hlc, tickHlc } from '../hlc.js';
import type { KeyId } from '../ids.js';
import { type Plan, type Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './accept.js';
import { draftRow, type Edit, type JournalRow, keyIdsOf, putRow, readHeldBy, readJournalOf } from './journal.js';
import { readClock, readNumber, writeNumber } from './meta.js';

/** Above every number that a journal gives. */
const UNKEPT_FROM = 2 ** 52;
/** So many writers at once, each with so many rows, make 2^51 numbers. */
const WRITERS = 2 ** 20;
const ROWS_OF_WRITER = 2 ** 31;

/** Whether a row's number is only a name for it until a journal gives it one. */
export function isUnkept(number: number): boolean {
  return number >= UNKEPT_FROM;
}

/** The name of the `count`-th row of a writer, who is known by a random number: clocks of two tabs may show the same. */
export function unkeptNumber(writer: number, count: number): number {
  return UNKEPT_FROM + (writer % WRITERS) * ROWS_OF_WRITER + (count % ROWS_OF_WRITER);
}

export function compareWritten(a: JournalRow, b: JournalRow): number {
  return a.writtenAt - b.writtenAt || a.number - b.number;
}

/**
 * The rows that edits would be, for a disk that takes nothing [JS7]. Reads only. `unkept`: what waits already and was written before.
 * `nextNumber` gives each row its name. Throws as `appendToJournal` does.
 */
export function* draftUnkept(
  tx: Transaction,
  room: RoomRef,
  edits: readonly Edit[],
  unkept: readonly JournalRow[],
  nowMs: number,
  nextNumber: () => number,
): Steps<readonly JournalRow[]> {
  let clock = Math.max(yield* readClock(tx), unkept.at(-1)?.writtenAt ?? 0) as Hlc;
  const keyIds = keyIdsOf(room, edits);
  const contexts = yield* readHeldBy(tx, room, edits, keyIds);
  // What an edit recovers stays in the trash: taking it from there is a write too.
  return edits.map(({ recovers: _, ...edit }, i) => {
    clock = tickHlc(clock, nowMs);
    return { ...draftRow(edit, keyIds[i] as KeyId, clock, contexts[i] as Context), number: nextNumber() };
  });
}

/** Puts rows that were written before into the journal, with the time and the context that they have [JS7, JS8]. */
export function* keepRows(tx: Transaction, rows: readonly JournalRow[]): Steps<readonly JournalRow[]> {
  let number = yield* readNumber(tx, 'row');
  let clock: number = yield* readClock(tx);
  const kept: JournalRow[] = [];
  for (const row of rows) {
    number++;
    clock = Math.max(clock, row.writtenAt, highestEntry(row.context));
    yield* putInOrder(tx, { ...row, number });
    kept.push({ ...row, number });
  }
  writeNumber(tx, 'row', number);
  writeNumber(tx, 'clock', clock);
  return kept;
}

/** What a reader sees where these rows, in the order of writing, are on no disk: as if they were. The plan must only read. */
export function withUnkept<Result>(plan: Plan<Result>, unkept: readonly JournalRow[]): Plan<Result> {
  if (unkept.length === 0) return plan;
  return () => {
    const tx = new Transaction();
    for (const [i, row] of unkept.entries()) putRow(tx, { ...row, number: UNKEPT_FROM + i });
    return plan(tx);
  };
}

/** Another tab may have kept a later write of the record first: of the rows of one record the last one counts, so contents change places. */
function* putInOrder(tx: Transaction, row: JournalRow): Steps<void> {
  if (row.name.kind === 'document') return putRow(tx, row);
  const later = (yield* readJournalOf(tx, row.keyId)).filter(({ writtenAt }) => writtenAt > row.writtenAt);
  const places = [...later, row];
  const contents = [row, ...later.sort((a, b) => a.writtenAt - b.writtenAt)];
  for (const [i, { number, folded }] of places.entries()) {
    const { folded: _, ...content } = contents[i] as JournalRow;
    const oldest = Math.min(folded?.oldest ?? content.writtenAt, content.writtenAt) as Hlc;
    putRow(tx, { ...content, number, ...(folded && { folded: { ...folded, oldest } }) });
  }
}
