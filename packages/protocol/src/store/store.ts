import type { Plan } from './plan.js';

export interface TransactOptions {
  /** `read`: the plan must not write. */
  readonly mode: 'read' | 'write';
  /** `strict` (the default for writes): the promise resolves when a power cut can no longer take the writes. */
  readonly durability?: 'strict' | 'relaxed';
}

/**
 * Where one room's rows are kept. Every implementor owes:
 * - isolation: a write plan sees no other plan's writes between its reads and its own writes, also from other tabs;
 * - atomicity: all writes of a plan or none, also over a crash;
 * - order: plans that were started one after the other are applied in that order;
 * - durability as asked: a resolved `strict` transact is on disk;
 * - when a plan throws, nothing is written and the promise rejects with what it threw;
 * - failures of the platform reject with `STORAGE_FULL` or `STORAGE_UNAVAILABLE`.
 */
export interface Store {
  transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result>;
  /** Idempotent. Later calls of `transact` reject with `CLOSED`; those under way finish. */
  close(): Promise<void>;
}
