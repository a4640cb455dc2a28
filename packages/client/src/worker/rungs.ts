import { type Limits, MangroveError } from '@mangrove/protocol';
import { unavailable } from '../stores/places.js';
import type { ReachedWait } from './engine-api.js';
import type { Pending } from './pending.js';

/** The ladder of receipts: who waits for which rung, and what it takes. */
export class Rungs {
  readonly #pending: Pending;
  readonly #hasRelay: boolean;
  readonly #hasDisk: boolean;
  readonly #limits: Limits;
  readonly #nowMs: () => number;
  readonly #isInSync: () => boolean;
  readonly #cancels = new Map<number, (error: Error) => void>();
  readonly #syncWaits = new Set<() => void>();
  #closed: Error | undefined;

  constructor(
    pending: Pending,
    room: { readonly hasRelay: boolean; readonly hasDisk: boolean },
    limits: Limits,
    nowMs: () => number,
    isInSync: () => boolean,
  ) {
    this.#pending = pending;
    this.#hasRelay = room.hasRelay;
    this.#hasDisk = room.hasDisk;
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#isInSync = isInSync;
  }

  /** `journaled`: when what was handed over before is on disk, which is all that the first two rungs take. */
  async reached({ name, rows, rung, count }: ReachedWait, journaled: Promise<void>): Promise<void> {
    if (rung === 'applied' || (rung === 'disk' && this.#hasDisk)) return journaled;
    // What is on a relay's disk is safer than what is on this one: without an own disk that is what counts.
    if (rung === 'disk' && !this.#hasRelay) throw unavailable('lost', 'this tab keeps everything in memory');
    await this.#wait(name, journaled, () => this.#pending.wait(rows, (seq) => this.#isEnough(seq, rung, count)));
  }

  synced(name: number, journaled: Promise<void>): Promise<void> {
    return this.#wait(name, journaled, () => {
      let end = (): void => {};
      const promise = new Promise<void>((resolve) => {
        this.#syncWaits.add(resolve);
        end = () => this.#syncWaits.delete(resolve);
        this.lookAgain();
      });
      return { promise, cancel: end };
    });
  }

  /** The status may have changed. */
  lookAgain(): void {
    if (this.#syncWaits.size === 0 || !this.#isInSync()) return;
    for (const resolve of this.#syncWaits) resolve();
  }

  close(error: Error): void {
    this.#closed = error;
    this.#pending.close(error);
    for (const cancel of [...this.#cancels.values()]) cancel(error);
  }

  cancel(name: number): void {
    this.#cancels.get(name)?.(new MangroveError('ABORTED'));
  }

  /** Can be cancelled from the moment it is asked for, also before there is anything to wait for. */
  async #wait(
    name: number,
    journaled: Promise<void>,
    start: () => { readonly promise: Promise<void>; cancel(error: Error): void },
  ): Promise<void> {
    if (!this.#hasRelay) throw new MangroveError('NO_RELAY');
    if (this.#closed !== undefined) throw this.#closed;
    const cancelled = new Promise<never>((_, reject) => this.#cancels.set(name, reject));
    try {
      await Promise.race([journaled, cancelled]);
      const wait = start();
      try {
        await Promise.race([wait.promise, cancelled]);
      } finally {
        wait.cancel(new MangroveError('ABORTED'));
      }
    } finally {
      this.#cancels.delete(name);
    }
  }

  #isEnough(seq: number, rung: ReachedWait['rung'], count: number): boolean {
    if (rung === 'relay' || rung === 'disk') return true;
    const { holding, known } = this.#pending.holders(seq, this.#nowMs() - this.#limits.replicaExpiryMs);
    return rung === 'replicas' ? holding >= count : holding >= known;
  }
}
