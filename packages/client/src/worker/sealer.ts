import { isMangroveError, type RoomRef, type SealedDraft, type Store } from '@mangrove/protocol';
import type { Environment, Identity } from '../environment.js';
import type { Barrier } from './journal-writer.js';
import { RETRIES_MAX, sealOnce } from './seal-once.js';

/** After a failure, which is told, sealing is tried again by itself. */
const RETRY_AFTER_MS = 5_000;
/** Room may come at any time, and what waits for it is to be sent soon after. */
const RETRY_FULL_AFTER_MS = 1_000;

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
        const isFull = isMangroveError(error) && error.code === 'STORAGE_FULL';
        this.hold(isFull ? RETRY_FULL_AFTER_MS : RETRY_AFTER_MS);
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
      const outcome = await this.#sealOnce();
      if (outcome === 'empty') continue;
      this.#isWanted = true;
      retries = outcome === 'lost' ? retries + 1 : 0;
      if (retries > RETRIES_MAX) throw new Error('sealing lost its race too often');
    }
  }

  async #sealOnce(): Promise<'sealed' | 'empty' | 'lost'> {
    const outcome = await sealOnce(this.#env, this.#store, this.#room, this.#identity, () => this.#host.epoch());
    if (typeof outcome === 'string') return outcome;
    const { sealed, root } = outcome;
    this.#host.sealed(sealed, root);
    this.#sealedRow = Math.max(this.#sealedRow, ...sealed.flatMap(({ rows }) => rows.map((row) => row.number)));
    this.#tellProgress();
    return 'sealed';
  }
}
