import { type Plan, type Steps, together, type Transaction } from '../store/plan.js';
import { readNumber, writeNumber } from './meta.js';

/** A new owner of the replica: from here on, what an older one runs {@link fenced} writes nothing [JS3, JS9]. */
export function* nextEpoch(tx: Transaction): Steps<number> {
  const epoch = (yield* readNumber(tx, 'epoch')) + 1;
  writeNumber(tx, 'epoch', epoch);
  return epoch;
}

/** Two tabs that take each other for frozen would otherwise take turns at killing each other. */
const STEAL_EVERY_MS = 60_000;

/** [JS10] Whether the replica may be taken from its owner by force now, at most once a minute, whoever asks. Where it may, that is remembered. */
export function* claimSteal(tx: Transaction, nowMs: number): Steps<boolean> {
  const sinceMs = nowMs - (yield* readNumber(tx, 'stolen'));
  // A clock that was set back says nothing of how long ago it was.
  if (sinceMs >= 0 && sinceMs < STEAL_EVERY_MS) return false;
  writeNumber(tx, 'stolen', nowMs);
  return true;
}

/** Another tab has become the owner of the replica. Nobody is told of it: whoever meets it steps down. */
export class EpochPassed extends Error {
  override readonly name = 'EpochPassed';
  readonly epoch: number;
  readonly stored: number;

  constructor(epoch: number, stored: number) {
    super(`The owner of epoch ${epoch} writes nothing any more: it is ${stored} now.`);
    this.epoch = epoch;
    this.stored = stored;
  }
}

/** [JS9] The plan as the owner of this epoch runs it: throws {@link EpochPassed}, so that nothing is written, where another has come. */
export function fenced<Result>(plan: Plan<Result>, epoch: number): Plan<Result> {
  return function* (tx) {
    // Read along with what the plan reads first: the fence costs no step of its own.
    const [, result] = yield* together([assertEpoch(tx, epoch), plan(tx)] as const);
    return result;
  };
}

function* assertEpoch(tx: Transaction, epoch: number): Steps<void> {
  const stored = yield* readNumber(tx, 'epoch');
  if (stored !== epoch) throw new EpochPassed(epoch, stored);
}
