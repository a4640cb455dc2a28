import { joinContexts } from '../context.js';
import { FLAG } from '../delta.js';
import type { Hlc } from '../hlc.js';
import { defaultLimits } from '../limits.js';
import type { JournalRow, NumberRange } from './journal.js';

/** How many payload bytes of one key are joined: bounded bodies. */
const JOINED_BYTES_MAX = 4 * 1024 * 1024;

/** Joins the payloads of a document's rows into one: Yjs at a replica, anything in a simulation. */
export type MergeUpdates = (updates: readonly Uint8Array[]) => Uint8Array;

/**
 * Runs of rows that become one delta each. A key's rows stand together and in order, and a run ends where its flags change, as
 * imported updates are vouched for in another way: joined across other rows, a later write would be superseded by an earlier one [JS1].
 */
export function groupRows(rows: readonly JournalRow[]): readonly (readonly JournalRow[])[] {
  const groups: JournalRow[][] = [];
  let bytes = 0;
  let nonces = new Set<number>();
  for (const row of rows) {
    const group = groups.at(-1);
    bytes += row.payload.length;
    for (const nonce of row.nonces) nonces.add(nonce);
    const isTooMuch =
      nonces.size > defaultLimits.noncesPerDeltaMax || (row.name.kind === 'document' && bytes > JOINED_BYTES_MAX);
    if (group !== undefined && isSameRun(group[0] as JournalRow, row) && !isTooMuch) {
      group.push(row);
    } else {
      groups.push([row]);
      bytes = row.payload.length;
      nonces = new Set(row.nonces);
    }
  }
  return groups;
}

function isSameRun(a: JournalRow, b: JournalRow): boolean {
  return a.keyId === b.keyId && (a.flags & ~FLAG.tombstone) === (b.flags & ~FLAG.tombstone);
}

/** One row that says what a run says, at the place and time of its last [JS2, JS6]. */
export function joinRows(run: readonly JournalRow[], mergeUpdates: MergeUpdates): JournalRow {
  const last = run.at(-1) as JournalRow;
  if (run.length === 1) return last;
  return {
    ...last,
    payload: last.name.kind === 'record' ? last.payload : mergeUpdates(run.map(({ payload }) => payload)),
    context: joinContexts(run.map(({ context }) => context)),
    nonces: [...new Set(run.flatMap(({ nonces }) => nonces))].sort((a, b) => a - b),
    folded: { oldest: Math.min(...run.map(oldestOf)) as Hlc, numbers: joinRanges(run.flatMap(numbersOf)) },
  };
}

/** The numbers under which the writes of a row were journaled, its own among them. */
export function numbersOf({ number, folded }: Pick<JournalRow, 'number' | 'folded'>): readonly NumberRange[] {
  return folded?.numbers ?? [{ from: number, to: number }];
}

export function countWrites(row: Pick<JournalRow, 'number' | 'folded'>): number {
  return numbersOf(row).reduce((sum, { from, to }) => sum + to - from + 1, 0);
}

/** When the first of a row's writes was made. */
export function oldestOf({ writtenAt, folded }: Pick<JournalRow, 'writtenAt' | 'folded'>): Hlc {
  return folded?.oldest ?? writtenAt;
}

/** Ranges in order, of which none ends where the next one begins. */
function joinRanges(ranges: readonly NumberRange[]): readonly NumberRange[] {
  const joined: NumberRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const before = joined.at(-1);
    if (before !== undefined && before.to + 1 === range.from)
      joined[joined.length - 1] = { from: before.from, to: range.to };
    else joined.push(range);
  }
  return joined;
}
