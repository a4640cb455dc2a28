import { isMangroveError, type Plan, type RoomRef, type Store } from '@mangrove/protocol';
import { Announcer, bytesOfPush } from './announcer.js';
import type { CommitHost, Commits, Push } from './commit-host.js';
import { type Committed, commitBatch } from './commit-plan.js';
import { FairQueue } from './fair-queue.js';
import { type Link, RETRY } from './link.js';

/** Deltas that share one transaction: as many as keep one plan a short piece of work, also for whoever comes meanwhile. */
const BATCH_DELTAS_MAX = 256;
/** And as much as may be in memory several times over. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024;

interface Waiting extends Push {
  readonly sinceMs: number;
  readonly done: () => void;
}

/**
 * Group commit of one room: while a transaction is under way later pushes wait and then go into the next one together, so that a
 * strict barrier is paid once for all of them. One transaction at a time also keeps positions in the order they are announced.
 */
export class CommitQueue implements Commits {
  readonly #host: CommitHost;
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #waiting = new FairQueue<Link, Waiting>();
  #alone: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  readonly #announcer: Announcer;

  constructor(host: CommitHost, store: Store, room: RoomRef) {
    this.#host = host;
    this.#store = store;
    this.#room = room;
    this.#announcer = new Announcer(host);
  }

  /** Resolves, and never rejects, when the push is on disk and announced, or its connection was let go. */
  add(push: Push): Promise<void> {
    return new Promise((done) => {
      this.#waiting.add(push.link, { ...push, sinceMs: performance.now(), done });
      this.#start();
    });
  }

  /** Runs something between two commits. */
  alone<Result>(task: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#alone.push(() => task().then(resolve, reject));
      this.#start();
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // One may have come between the last look and now.
      if (this.#waiting.size + this.#alone.length > 0) this.#start();
    });
  }

  async #run(): Promise<void> {
    // The pushes of one turn of the event loop come together before the first transaction begins.
    await Promise.resolve();
    for (;;) {
      const task = this.#alone.shift();
      if (task !== undefined) await task();
      else if (this.#waiting.size > 0) {
        const batch = this.#takeBatch();
        if (batch.length > 0) await this.#commit(batch);
      } else return;
    }
  }

  /** [SY26] Of each link that waits one push in turn: who pushes much makes others wait for no more than the commit that is under way. */
  #takeBatch(): readonly Waiting[] {
    for (const push of this.#waiting.remove((waiting) => !this.#host.takes(waiting))) push.done();
    let deltas = 0;
    let bytes = 0;
    return this.#waiting.take((push) => {
      deltas += push.deltas.length;
      bytes += bytesOfPush(push);
      return deltas <= BATCH_DELTAS_MAX && bytes <= BATCH_BYTES_MAX;
    });
  }

  /** Pushes that wait for the transaction after the one that is under way. */
  get waiting(): number {
    return this.#waiting.size;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const { counters } = this.#host.ports;
    const beganMs = performance.now();
    for (const { sinceMs } of batch) counters.observe('push_wait_seconds', (beganMs - sinceMs) / 1_000);
    let committed: Committed;
    try {
      committed = await this.#store.transact(this.#plan(batch), { mode: 'write', durability: 'strict' });
    } catch (error) {
      return await this.#failed(batch, error);
    }
    counters.observe('commit_seconds', (performance.now() - beganMs) / 1_000);
    counters.observe(
      'commit_deltas',
      batch.reduce((sum, { deltas }) => sum + deltas.length, 0),
    );
    this.#announcer.announce(batch, committed);
    for (const push of batch) push.done();
  }

  /** A bug that one push hits must not take the others of its batch along; a full disk hits them all. */
  async #failed(batch: readonly Waiting[], error: unknown): Promise<void> {
    this.#host.ports.counters.add('commits_failed');
    if (batch.length > 1 && !isMangroveError(error)) {
      for (const push of batch) await this.#commit([push]);
      return;
    }
    for (const push of batch) {
      if (isMangroveError(error) && error.retryable) push.link.shut(RETRY.tryAgainLater, error.code);
      else push.link.fail(error);
      push.done();
    }
  }

  #plan(batch: readonly Waiting[]): Plan<Committed> {
    const { clock, limits, quota } = this.#host.ports;
    const circumstances = { nowMs: clock.nowMs(), quota, limits };
    const pushes = batch.map(({ deltas, link }) => ({ deltas, via: link.challenge }));
    return (tx) => commitBatch(tx, this.#room, pushes, circumstances);
  }
}
