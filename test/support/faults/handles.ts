import type { Worker } from 'playwright-core';
import { chromiumPage } from '../engines/chromium.js';
import type { Tab } from '../engines/engine.js';

declare global {
  var handleCounts: HandleCounts | undefined;
}

const SHADOW = 'mangrove-shadow';

export interface HandleCounts {
  /** Transactions that a connection was asked for. */
  asked: number;
  /** By a dead one. */
  refused: number;
  /** By one that was known to be dead. */
  retries: number;
}

/**
 * Counts, in the workers of a tab, the transactions that a dead connection is asked for. The first turn of the event loop in which
 * it refuses is how a worker finds out, with all that is under way; whatever asks it later has not listened.
 */
export async function countHandles(tab: Tab): Promise<() => Promise<HandleCounts>> {
  const workers: Worker[] = [];
  // The one in which updates are tried has no database, and ends when it is not needed [CX9].
  for (const worker of chromiumPage(tab).workers())
    if ((await worker.evaluate(() => self.name).catch(() => SHADOW)) !== SHADOW) workers.push(worker);
  for (const worker of workers)
    await worker.evaluate(() => {
      const counts = { asked: 0, refused: 0, retries: 0 };
      globalThis.handleCounts = counts;
      const known = new WeakSet<IDBDatabase>();
      const { transaction } = IDBDatabase.prototype;
      IDBDatabase.prototype.transaction = function (...args) {
        counts.asked++;
        try {
          return transaction.apply(this, args);
        } catch (error) {
          counts.refused++;
          if (known.has(this)) counts.retries++;
          setTimeout(() => known.add(this));
          throw error;
        }
      };
    });
  return async () => {
    const sum: HandleCounts = { asked: 0, refused: 0, retries: 0 };
    for (const worker of workers) addCounts(sum, await worker.evaluate(() => globalThis.handleCounts));
    return sum;
  };
}

export function addCounts(sum: HandleCounts, more: HandleCounts | undefined): void {
  if (more === undefined) return;
  sum.asked += more.asked;
  sum.refused += more.refused;
  sum.retries += more.retries;
}
