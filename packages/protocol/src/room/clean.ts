import { hlcFromMs } from '../hlc.js';
import type { Limits } from '../limits.js';
import type { Steps, Transaction } from '../store/plan.js';
import { sweepLog } from './log.js';
import { pruneRetained } from './retained.js';
import { pruneTrash } from './trash.js';

export type CleanLimits = Pick<Limits, 'retainSupersededMs' | 'trashMs'>;

/**
 * What has outlived its time at a relay: superseded bytes, the log's entries of deltas that stand no more, and what a floor has swept. At most
 * about `rowsMax` rows of each; true when there may be more.
 */
export function* cleanRoom(tx: Transaction, nowMs: number, limits: CleanLimits, rowsMax: number): Steps<boolean> {
  const beforeMs = nowMs - limits.retainSupersededMs;
  const pruned = yield* pruneRetained(tx, beforeMs, rowsMax);
  const emptied = yield* pruneTrash(tx, nowMs - limits.trashMs, rowsMax);
  const isLogDone = yield* sweepLog(tx, hlcFromMs(Math.max(0, beforeMs)), rowsMax);
  return pruned === rowsMax || emptied === rowsMax || !isLogDone;
}
