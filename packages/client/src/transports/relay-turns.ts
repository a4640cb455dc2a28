/** Delays between attempts: short at first, as most cuts are short. */
const DELAY_MIN_MS = 200;
const DELAY_MAX_MS = 5_000;
const DELAY_GROWTH = 1.6;
/** A relay that goes says so to all of its clients. */
const AT_ONCE_MS = 50;
/** So long at another relay before it is looked whether a better one is there again. */
const RETURN_AFTER_MS = 30_000;
/** The same after returns that did not last. */
const RETURN_AFTER_MS_MAX = 600_000;
/** A connection that lasts so long was worth its return. */
const LASTING_MS = 60_000;

/** Standard codes of a relay that is leaving: it says to come back, but not that it will be there. */
const GOING: ReadonlySet<number> = new Set([1001, 1012]);

export interface Attempt {
  /** Its place in the order, 0 for the best. */
  readonly relay: number;
  readonly afterMs: number;
}

/**
 * [FD2, FD3] Which of several relays is to be tried, and when. Pure: its caller has the sockets, the clock and chance. What ends is told to it, and it
 * says what to do next; a *round* is over when all were tried since a connection was last of use.
 */
export class RelayTurns {
  readonly #count: number;
  readonly #random: () => number;
  #current = 0;
  #tried = new Set<number>();
  /** Rounds in a row that have brought nothing. */
  #rounds = 0;
  #returnAfterMs = RETURN_AFTER_MS;
  #returnedAtMs: number | undefined;

  /** `random`: from 0 up to 1. */
  constructor(count: number, random: () => number) {
    this.#count = count;
    this.#random = random;
  }

  get current(): number {
    return this.#current;
  }

  /** The attempt or the connection at the current relay has ended. `isOfUse`: something was gained over it. */
  ended(end: { readonly code: number; readonly isOfUse: boolean }, nowMs: number): Attempt {
    const { code, isOfUse } = end;
    this.#countReturn(nowMs);
    if (isOfUse) {
      this.#rounds = 0;
      this.#tried.clear();
      // Most cuts are of the link and not of the relay, which has our place in its log.
      if (!GOING.has(code)) return { relay: this.#current, afterMs: this.#jittered(DELAY_MIN_MS) };
    }
    this.#tried.add(this.#current);
    const next = this.#nextUntried();
    if (next !== undefined) {
      this.#current = next;
      return { relay: next, afterMs: this.#jittered(GOING.has(code) ? AT_ONCE_MS : DELAY_MIN_MS) };
    }
    this.#tried.clear();
    this.#current = 0;
    const delayMs = Math.min(DELAY_MAX_MS, DELAY_MIN_MS * DELAY_GROWTH ** this.#rounds++);
    return { relay: 0, afterMs: this.#jittered(delayMs) };
  }

  /** The platform has a network again, or somebody asks for another attempt: at once, the best one first. */
  anew(): Attempt {
    this.#tried.clear();
    this.#rounds = 0;
    this.#current = 0;
    return { relay: 0, afterMs: 0 };
  }

  /** After how long at the current relay it is looked for a better one; undefined where there is none. */
  returnAfterMs(): number | undefined {
    return this.#current === 0 ? undefined : this.#jittered(this.#returnAfterMs);
  }

  /** A better one has answered, and is the current one from now on. */
  returned(relay: number, nowMs: number): void {
    this.#current = relay;
    this.#tried.clear();
    this.#returnedAtMs = nowMs;
  }

  /** [FD3] One that comes and goes is returned to more and more seldom. */
  #countReturn(nowMs: number): void {
    if (this.#returnedAtMs === undefined) return;
    const hasLasted = nowMs - this.#returnedAtMs >= LASTING_MS;
    this.#returnAfterMs = hasLasted ? RETURN_AFTER_MS : Math.min(RETURN_AFTER_MS_MAX, 2 * this.#returnAfterMs);
    this.#returnedAtMs = undefined;
  }

  #nextUntried(): number | undefined {
    for (let relay = 0; relay < this.#count; relay++) if (!this.#tried.has(relay)) return relay;
    return undefined;
  }

  /** From half of it to all of it: whoever lost the same relay does not come to the next one in one moment. */
  #jittered(ms: number): number {
    return ms * (1 - this.#random() / 2);
  }
}
