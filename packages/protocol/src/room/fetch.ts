import type { Steps, Transaction } from '../store/plan.js';

/** Deltas that are read in one step: bodies may be large, and their sizes are known only when they are there. */
const STEP_ROWS = 16;

/**
 * The rows of `deltas` in the order of their keys, until what was read weighs `bytesMax` or more; undefined where there is none.
 * The answer may be shorter than `keys`, but not empty unless they are: what is missing is asked for again.
 */
export function* fetchWhileSmall(
  tx: Transaction,
  trieKeys: readonly Uint8Array[],
  bytesMax: number,
): Steps<readonly (Uint8Array | undefined)[]> {
  const rows: (Uint8Array | undefined)[] = [];
  let bytes = 0;
  while (rows.length < trieKeys.length && bytes < bytesMax) {
    for (const row of yield* tx.getMany('deltas', trieKeys.slice(rows.length, rows.length + STEP_ROWS))) {
      rows.push(row);
      bytes += row?.length ?? 0;
    }
  }
  return rows;
}
