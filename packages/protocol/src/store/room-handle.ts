import { MangroveError } from '../errors.js';
import type { Plan } from './plan.js';
import type { Store, TransactOptions } from './store.js';

/** One room of a database that has many: closing it leaves the database, and other handles of the room, as they are. */
export class RoomHandle implements Store {
  readonly #run: Store['transact'];
  #isClosed = false;

  constructor(run: Store['transact']) {
    this.#run = run;
  }

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    if (this.#isClosed) throw new MangroveError('CLOSED', { what: 'store' });
    return await this.#run(plan, options);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}
