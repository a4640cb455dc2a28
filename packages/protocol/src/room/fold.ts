import { keyAfter } from '../bytes.js';
import type { Steps, Transaction } from '../store/plan.js';
import { type JournalRow, journalKey, readJournalPage, writeRow } from './journal.js';
import { readNumber } from './meta.js';
import { groupRows, joinRows, type MergeUpdates } from './runs.js';

/**
 * A row of no more weight never ends what is joined: the last of many keystrokes may well be lighter than the one before, and all of them
 * would stay. To write it again costs less than the transaction does.
 */
const LIGHT_BYTES = 4_096;

export interface FoldOptions {
  readonly epoch: number;
  readonly mergeUpdates: MergeUpdates;
  /** Fewer rows are not worth a transaction. */
  readonly rowsMin: number;
  /** Where to begin; a page is bounded, so that folding is one bounded transaction after another. */
  readonly from: Uint8Array;
}

export interface Folding {
  /** The rows that are no more, as they were. */
  readonly replaced: readonly JournalRow[];
  /** Where to go on; undefined at the end. */
  readonly next: Uint8Array | undefined;
}

/**
 * Joins rows of the journal that sealing would join, so that a long time without a relay leaves a few rows and not one for each
 * edit [JS6]. A run's rows are joined from its end on, while the one before is light or weighs no more than what is joined already: what
 * was folded is folded again only with as much that is new, and the rows that stay are as many as a logarithm.
 *
 * Undefined, and nothing written, when another tab has taken over.
 */
export function* foldJournal(
  tx: Transaction,
  { epoch, mergeUpdates, rowsMin, from }: FoldOptions,
): Steps<Folding | undefined> {
  if ((yield* readNumber(tx, 'epoch')) !== epoch) return undefined;
  const { rows, isLast } = yield* readJournalPage(tx, from);
  const replaced: JournalRow[] = [];
  for (const group of groupRows(rows)) {
    const run = lightEnd(group);
    if (run.length < rowsMin) continue;
    const row = joinRows(run, mergeUpdates);
    for (const other of run.slice(0, -1)) tx.delete('journal', journalKey(other));
    writeRow(tx, row);
    replaced.push(...run);
  }
  const last = rows.at(-1);
  const next = isLast || last === undefined ? undefined : keyAfter(journalKey(last));
  return { replaced, next };
}

function lightEnd(run: readonly JournalRow[]): readonly JournalRow[] {
  let bytes = 0;
  let first = run.length;
  while (first > 0) {
    const before = (run[first - 1] as JournalRow).payload.length;
    // A record's rows are not added up: only the last one's value is kept.
    const isHeavy = first < run.length && before > Math.max(bytes, LIGHT_BYTES);
    if (run[0]?.name.kind === 'document' && isHeavy) break;
    bytes += before;
    first--;
  }
  return run.slice(first);
}
