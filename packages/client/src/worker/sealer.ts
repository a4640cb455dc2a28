import {
  commitSeal,
  draftSeal,
  isMangroveError,
  resetClock,
  type RoomRef,
  signDelta,
  type SealedDraft,
  type Store,
} from '@mangrove/protocol';
import { deflate } from '../deflate.js';
import { mergeUpdates } from '../documents/merge.js';
import type { Environment, Identity } from '../environment.js';
import type { Barrier } from './journal-writer.js';

/** Drafts that lose a race with another tab are drafted again; more often than this, something is wrong. */
const RETRIES_MAX = 8;
/** After a failure, which is told, sealing is tried again by itself. */
const RETRY_AFTER_MS = 5_000;

export interface SealerHost {
  /** True while there is someone to send to: sealing sooner would split what could leave as one delta. */
  canSeal(): boolean;
  epoch(): number;
  sealed(drafts: readonly SealedDraft[], root: Uint8Array): void;
  failed(error: unknown): void;
}

/** Turns the journal into deltas, one run at a time, until it is empty. */
export class Sealer implements Barrier {
  readonly #env: Environment;
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #identity: Identity;
  readonly #host: SealerHost;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #isStopped = false;
  #held: ReturnType<typeof setTimeout> | undefined;
  /** Rows are sealed in the order of their numbers. */
  #sealedRow = 0;
  #onProgress: (() => void)[] = [];

  constructor(env: Environment, store: Store, room: RoomRef, identity: Identity, host: SealerHost) {
    this.#env = env;
    this.#store = store;
    this.#room = room;
    this.#identity = identity;
    this.#host = host;
  }

  /** There may be something to seal. */
  poke(): void {
    this.#isWanted = true;
    if (this.#running !== undefined || !this.#mayRun()) return;
    this.#running = this.#run().then(
      () => {
        this.#running = undefined;
        // A poke may have come after the last look at the journal.
        if (this.#isWanted) this.poke();
        this.#tellProgress();
      },
      (error: unknown) => {
        this.#running = undefined;
        this.hold(RETRY_AFTER_MS);
        this.#tellProgress();
        this.#host.failed(error);
      },
    );
  }

  follows(): boolean {
    return this.#mayRun();
  }

  async passed(row: number): Promise<boolean> {
    while (this.#sealedRow < row && this.#running !== undefined) {
      await new Promise<void>((resolve) => this.#onProgress.push(resolve));
    }
    return this.#sealedRow >= row;
  }

  /** Nothing is sealed for a while: the relay has just refused something. */
  hold(ms: number): void {
    clearTimeout(this.#held);
    if (this.#isStopped) return;
    this.#held = setTimeout(() => {
      this.#held = undefined;
      this.poke();
    }, ms);
  }

  /** Resolves when what is under way is written and told. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#held);
    await this.#running;
  }

  #tellProgress(): void {
    for (const tell of this.#onProgress.splice(0)) tell();
  }

  #mayRun(): boolean {
    return !this.#isStopped && this.#held === undefined && this.#host.canSeal();
  }

  async #run(): Promise<void> {
    let retries = 0;
    while (this.#isWanted && this.#mayRun()) {
      this.#isWanted = false;
      const outcome = await this.#sealOnce().catch((error: unknown) => this.#recover(error));
      if (outcome === 'empty') continue;
      this.#isWanted = true;
      retries = outcome === 'lost' ? retries + 1 : 0;
      if (retries > RETRIES_MAX) throw new Error('sealing lost its race too often');
    }
  }

  /** A clock that ran ahead and was set right: nothing was given away with its stamps, so the stamps can go back too. */
  async #recover(error: unknown): Promise<'lost'> {
    if (!isMangroveError(error) || error.code !== 'CLOCK_AHEAD') throw error;
    const nowMs = this.#env.clock.nowMs();
    await this.#store.transact((tx) => resetClock(tx, nowMs), { mode: 'write' });
    return 'lost';
  }

  async #sealOnce(): Promise<'sealed' | 'empty' | 'lost'> {
    const nowMs = this.#env.clock.nowMs();
    const { replica, signer } = this.#identity;
    const drafts = await this.#store.transact(
      (tx) => draftSeal(tx, this.#room, { replica, nowMs, mergeUpdates, deflate }),
      {
        mode: 'read',
      },
    );
    if (drafts.length === 0) return 'empty';
    const sealed: SealedDraft[] = await Promise.all(
      drafts.map(async ({ unsigned, rows }) => ({
        delta: signDelta(unsigned, await signer.sign(unsigned.message)),
        rows,
      })),
    );
    const epoch = this.#host.epoch();
    const acceptance = await this.#store.transact((tx) => commitSeal(tx, this.#room, sealed, epoch, nowMs), {
      mode: 'write',
      durability: 'strict',
    });
    if (acceptance === undefined) return 'lost';
    this.#host.sealed(sealed, acceptance.root);
    this.#sealedRow = Math.max(this.#sealedRow, ...sealed.flatMap(({ rows }) => rows.map((row) => row.number)));
    this.#tellProgress();
    return 'sealed';
  }
}
