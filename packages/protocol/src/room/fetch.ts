import type { Steps, Transaction } from '../store/plan.js';
import { toEntry } from '../stub.js';
import type { RoomRef } from './accept.js';

/** Deltas that are read in one step: bodies may be large, and their sizes are known only when they are there. */
const STEP_ROWS_MAX = 8;
/** What is read for one answer, as a large delta is read to make its stub. */
export const READ_BYTES = 8 * 1024 * 1024;

export interface Entries {
  /** What the deltas are sent as, in the order of their keys. */
  readonly entries: readonly Uint8Array[];
  /** How many of the keys were looked at: one at least where there are any and `bytesMax` is above 0. */
  readonly count: number;
}

/** The deltas under these keys, as they are sent, until there are `bytesMax` of them or enough was read. What is not held is left out. */
export function* fetchEntries(
  tx: Transaction,
  { hash, roomId }: RoomRef,
  trieKeys: readonly Uint8Array[],
  bytesMax: number,
): Steps<Entries> {
  const entries: Uint8Array[] = [];
  let count = 0;
  let bytes = 0;
  let read = 0;
  // Few at first: when they turn out to be small, more at a time.
  for (let step = 1; count < trieKeys.length && bytes < bytesMax && read < READ_BYTES; step = nextStep(step)) {
    const rows = yield* tx.getMany('deltas', trieKeys.slice(count, count + step));
    count += rows.length;
    for (const row of rows) {
      if (row === undefined) continue;
      const entry = toEntry(hash, roomId, row);
      entries.push(entry);
      bytes += entry.length;
      read += row.length;
    }
  }
  return { entries, count };
}

export const nextStep = (step: number): number => Math.min(2 * step, STEP_ROWS_MAX);
