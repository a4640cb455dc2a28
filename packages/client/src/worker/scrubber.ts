import {
  hasFound,
  type LinkConfig,
  readScrubPlace,
  type ScrubFindings,
  type ScrubPlace,
  scrubStep,
  type Store,
  writeScrubPlace,
} from '@mangrove/protocol';

export interface ScrubberHost {
  /** After each step. */
  scrubbed(findings: ScrubFindings): void;
  failed(error: unknown): void;
}

/**
 * Looks through the store of a room, a step now and then, and goes on where the last session stopped [AE1]. A step that has found
 * something is followed at once by the rest, so that the root tells of it soon.
 */
export class Scrubber {
  readonly #store: Store;
  readonly #config: LinkConfig;
  readonly #host: ScrubberHost;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #step: Promise<void> = Promise.resolve();
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

  #next(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#step = this.#run().catch((error: unknown) => {
        this.#host.failed(error);
        this.#next(this.#config.limits.scrubPassMs);
      });
    }, delayMs);
  }

  async #run(): Promise<void> {
    const { room, limits } = this.#config;
    const { findings, next } = await this.#store.transact(
      function* (tx) {
        const step = yield* scrubStep(tx, room, yield* readScrubPlace(tx));
        yield* writeScrubPlace(tx, step.next);
        return step;
      },
      // What a power cut takes is found again.
      { mode: 'write', durability: 'relaxed' },
    );
    this.#host.scrubbed(findings);
    this.#next(delayAfter(findings, next, limits));
  }
}

function delayAfter(
  findings: ScrubFindings,
  next: ScrubPlace | undefined,
  { scrubStepMs, scrubPassMs }: LinkConfig['limits'],
): number {
  if (next === undefined) return scrubPassMs;
  return hasFound(findings) ? 0 : scrubStepMs;
}
