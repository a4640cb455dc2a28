import { bytesToU64 } from '../bytes.js';
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

/** When there is something for {@link cleanRoom} to do; undefined where nothing waits for its time. */
export function* readCleanDueMs(tx: Transaction, limits: CleanLimits): Steps<number | undefined> {
  const first = { from: new Uint8Array(), limit: 1 };
  const [retained] = yield* tx.keys('retained', first);
  const [trashed] = yield* tx.keys('trash', first);
  const dues: number[] = [];
  if (retained !== undefined) dues.push(bytesToU64(retained) + limits.retainSupersededMs);
  if (trashed?.[0] === 0) dues.push(bytesToU64(trashed, 1) + limits.trashMs);
  return dues.length === 0 ? undefined : Math.min(...dues);
}
