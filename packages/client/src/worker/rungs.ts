import { type Limits, MangroveError } from '@mangrove/protocol';
import type { ReachedWait } from './engine-api.js';
import type { Pending } from './pending.js';

/** The durability ladder: who waits for which rung, and what it takes. */
export class Rungs {
  readonly #pending: Pending;
  readonly #hasRelay: boolean;
  readonly #limits: Limits;
  readonly #nowMs: () => number;
  readonly #isInSync: () => boolean;
  readonly #cancels = new Map<number, (error: Error) => void>();
  readonly #syncWaits = new Map<number, () => void>();

  constructor(pending: Pending, hasRelay: boolean, limits: Limits, nowMs: () => number, isInSync: () => boolean) {
    this.#pending = pending;
    this.#hasRelay = hasRelay;
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#isInSync = isInSync;
  }

  /** A write that is known at all is on disk, so the first two rungs are reached; the others are waited for. */
  async reached({ name, rows, rung, count }: ReachedWait): Promise<void> {
    if (rung === 'applied' || rung === 'disk') return;
    if (!this.#hasRelay) throw new MangroveError('NO_RELAY');
    const wait = this.#pending.wait(rows, (seq) => this.#isEnough(seq, rung, count));
    this.#cancels.set(name, wait.cancel);
    try {
      await wait.promise;
    } finally {
      this.#cancels.delete(name);
    }
  }

  async synced(name: number): Promise<void> {
    if (!this.#hasRelay) throw new MangroveError('NO_RELAY');
    try {
      await new Promise<void>((resolve, reject) => {
        this.#syncWaits.set(name, resolve);
        this.#cancels.set(name, reject);
        this.lookAgain();
      });
    } finally {
      this.#syncWaits.delete(name);
      this.#cancels.delete(name);
    }
  }

  /** The status may have changed. */
  lookAgain(): void {
    if (this.#syncWaits.size === 0 || !this.#isInSync()) return;
    for (const resolve of this.#syncWaits.values()) resolve();
  }

  close(error: Error): void {
    this.#pending.close(error);
    for (const cancel of [...this.#cancels.values()]) cancel(error);
  }

  cancel(name: number): void {
    this.#cancels.get(name)?.(new MangroveError('ABORTED'));
  }

  #isEnough(seq: number, rung: ReachedWait['rung'], count: number): boolean {
    if (rung === 'relay') return true;
    const { holding, known } = this.#pending.holders(seq, this.#nowMs() - this.#limits.replicaExpiryMs);
    return rung === 'replicas' ? holding >= count : holding >= known;
  }
}
