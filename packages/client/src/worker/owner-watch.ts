import type { Environment } from '../environment.js';
import { judgeOwner, lookAfterMs } from '../tabs/silence.js';

export interface OwnerWatchHost {
  /** Asks whoever owns the replica to say so. */
  ask(): void;
  /** Whether the replica may be taken by force now. */
  claim(): Promise<boolean>;
  steal(): void;
  failed(error: unknown): void;
}

/** [JS10] Looks after the owner of the replica from a tab that waits for its lock: that of a frozen tab is never free. */
export class OwnerWatch {
  readonly #env: Environment;
  readonly #host: OwnerWatchHost;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOn = false;
  #unanswered = 0;

  constructor(env: Environment, host: OwnerWatchHost) {
    this.#env = env;
    this.#host = host;
  }

  start(): void {
    this.#isOn = true;
    this.#unanswered = 0;
    this.#lookLater();
  }

  stop(): void {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }

  /** The owner has said that it is there, to whoever asked. */
  heard(): void {
    this.#unanswered = 0;
  }

  #lookLater(): void {
    const { clock } = this.#env;
    const sinceMs = clock.nowMs();
    const meantMs = lookAfterMs(this.#env.isVisible());
    this.#timer = setTimeout(() => this.#look(meantMs, clock.nowMs() - sinceMs), meantMs);
  }

  #look(meantMs: number, tookMs: number): void {
    const verdict = judgeOwner({ unanswered: this.#unanswered, meantMs, tookMs });
    if (verdict === 'steal') {
      this.#steal().catch((error: unknown) => {
        this.#host.failed(error);
        if (this.#isOn) this.start();
      });
      return;
    }
    this.#unanswered = verdict === 'ask' ? this.#unanswered + 1 : 1;
    this.#host.ask();
    this.#lookLater();
  }

  /** The claim takes its time where a frozen tab holds the database up, and the owner may have answered meanwhile. */
  async #steal(): Promise<void> {
    const isAllowed = await this.#host.claim();
    if (!this.#isOn) return;
    if (isAllowed && this.#unanswered > 0) this.#host.steal();
    else this.start();
  }
}
