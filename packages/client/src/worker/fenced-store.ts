import { EpochPassed, fenced, type Plan, type Store, type TransactOptions } from '@mangrove/protocol';

/**
 * [JS9] The room's store as the owner of one epoch writes to it. Where another tab has become the owner meanwhile, as this one was frozen,
 * a write changes nothing, rejects with {@link EpochPassed}, and `passed` is called.
 */
export class FencedStore implements Store {
  readonly #store: Store;
  readonly #epoch: () => number;
  readonly #passed: () => void;

  constructor(store: Store, epoch: () => number, passed: () => void) {
    this.#store = store;
    this.#epoch = epoch;
    this.#passed = passed;
  }

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    if (options.mode === 'read') return this.#store.transact(plan, options);
    try {
      return await this.#store.transact(fenced(plan, this.#epoch()), options);
    } catch (error) {
      if (error instanceof EpochPassed) this.#passed();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
