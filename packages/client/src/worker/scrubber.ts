import {
  addFindings,
  hasFound,
  type LinkConfig,
  type MangroveError,
  NOTHING_FOUND,
  readScrubPlace,
  type ScrubFindings,
  scrubStep,
  type Store,
  writeScrubPlace,
} from '@mangrove/protocol';
import { afterPass, leftFor, Taken } from './mender.js';

export interface ScrubberHost {
  /** After each step. */
  scrubbed(findings: ScrubFindings): void;
  /** The database keeps nothing that is written to it: the room is to go on in another one. */
  leave(reason: MangroveError): void;
  failed(error: unknown): void;
}

/**
 * Looks through the store of a room, a step now and then, and goes on where the last session stopped [AE1]. A step that has found
 * something is followed at once by the rest, so that the root tells of it soon; and a pass that had to write rows anew by another one, which shows
 * whether they are kept [AE8].
 */
export class Scrubber {
  readonly #store: Store;
  readonly #config: LinkConfig;
  readonly #host: ScrubberHost;
  readonly #taken = new Taken();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #step: Promise<void> = Promise.resolve();
  /** What this pass has found so far. */
  #found = NOTHING_FOUND;
  /** Whether this pass looks at what the one before has mended. */
  #isSecond = false;
  /** Whether the next step begins a pass, and no step of it waits. */
  #isAsked = false;
  #isHasty = false;
  /** Whether deltas that were taken did not stay, since there was a pass. */
  #isSuspected = false;
  #isStopped = false;

  constructor(store: Store, config: LinkConfig, host: ScrubberHost) {
    this.#store = store;
    this.#config = config;
    this.#host = host;
  }

  start(): void {
    this.#next(this.#config.limits.scrubStepMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#step;
  }

  /** A plan has stumbled over rows, which are mended now: whether that was all, and stays so, is looked at right away. */
  healed(findings: ScrubFindings): void {
    if (this.#isHasty) this.#found = addFindings(this.#found, findings);
    else if (afterPass(findings, false) === 'again') this.#passNow(false);
  }

  /** Trie keys of deltas that were new. What does not stay has it all looked through; if it does not stay then, the database is left. */
  took(trieKeys: readonly Uint8Array[]): void {
    if (!this.#taken.add(trieKeys)) return;
    if (this.#isSuspected) this.#leave(this.#found);
    else this.#passNow(false);
    this.#isSuspected = true;
  }

  #passNow(isSecond: boolean): void {
    this.#isSecond = isSecond;
    this.#isAsked = true;
    this.#isHasty = true;
    clearTimeout(this.#timer);
    void this.#step.finally(() => this.#next(0));
  }

  #next(delayMs: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#step = this.#run().catch((error: unknown) => {
        this.#host.failed(error);
        this.#next(this.#config.limits.scrubPassMs);
      });
    }, delayMs);
  }

  async #run(): Promise<void> {
    const { room, limits } = this.#config;
    const isFirst = this.#isAsked;
    this.#isAsked = false;
    if (isFirst) this.#found = NOTHING_FOUND;
    const { findings, next } = await this.#store.transact(
      function* (tx) {
        const step = yield* scrubStep(tx, room, isFirst ? undefined : yield* readScrubPlace(tx));
        yield* writeScrubPlace(tx, step.next);
        return step;
      },
      // What a power cut takes is found again.
      { mode: 'write', durability: 'relaxed' },
    );
    this.#found = addFindings(this.#found, findings);
    this.#host.scrubbed(findings);
    if (this.#isAsked) return;
    if (next === undefined) this.#ended();
    else this.#next(this.#isHasty || hasFound(findings) ? 0 : limits.scrubStepMs);
  }

  #ended(): void {
    const found = this.#found;
    const verdict = afterPass(found, this.#isSecond);
    if (verdict === 'leave') this.#leave(found);
    if (verdict === 'again') this.#passNow(true);
    if (verdict !== 'rest') return;
    this.#isHasty = false;
    this.#isSecond = false;
    this.#found = NOTHING_FOUND;
    this.#next(this.#config.limits.scrubPassMs);
  }

  #leave(found: ScrubFindings): void {
    this.#isStopped = true;
    this.#host.leave(leftFor(found));
  }
}
