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
 * - order: plans that were started one after the other are applied in that order, and a read plan has its place among them;
 * - one moment: a read plan sees one state throughout;
 * - durability as asked: a resolved `strict` transact is on disk;
 * - when a plan throws, nothing is written and the promise rejects with what it threw;
 * - plain bytes: what a plan gets are `Uint8Array`s that stay as they are;
 * - failures of the platform reject with `STORAGE_FULL` or `STORAGE_UNAVAILABLE`; a failure while writes are being made durable leaves
 *   open whether they were.
 * In return a plan is free of side effects: a store may run it again when its connection was lost before anything was written.
 */
export interface Store {
  transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result>;
  /** Idempotent. Later calls of `transact` reject with `CLOSED`; those under way finish. */
  close(): Promise<void>;
}
