/**
 * How long the tab that owns the replica has not answered: one that the browser has frozen keeps its lock and sends nothing. It is asked
 * when somebody wants to know, and not otherwise.
 */
export class OwnerSilence {
  readonly #nowMs: () => number;
  readonly #ask: () => void;
  #askedAtMs: number | undefined;
  #lookedAtMs = 0;

  constructor(nowMs: () => number, ask: () => void) {
    this.#nowMs = nowMs;
    this.#ask = ask;
  }

  /** Up to the look before this one: a tab that slept in between has not given the answer the time to come. */
  look(): number {
    const nowMs = this.#nowMs();
    const silentMs = this.#askedAtMs === undefined ? 0 : Math.max(0, this.#lookedAtMs - this.#askedAtMs);
    this.#lookedAtMs = nowMs;
    this.#askedAtMs ??= nowMs;
    this.#ask();
    return silentMs;
  }

  /** The owner has said something. */
  heard(): void {
    this.#askedAtMs = undefined;
  }
}
