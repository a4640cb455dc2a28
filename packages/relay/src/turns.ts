/**
 * Whose question is answered next, over all rooms of a relay. To answer is to read for some milliseconds in one go, and anybody may ask as much as
 * they like: so one answer, or a part of a long one, is made in each turn of the event loop, and sockets and commits have theirs in between.
 */
export class Turns {
  /** Runs once, in the next turn of the event loop. */
  readonly #later: (run: () => void) => void;
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  constructor(later: (run: () => void) => void) {
    this.#later = later;
  }

  /** Resolves at once for the first who asks in a turn, for the others in the turns that follow, in order. */
  take(): Promise<void> {
    if (this.#isTaken)
      return new Promise((resolve) => {
        this.#waiting.push(resolve);
      });
    this.#hold();
    return Promise.resolve();
  }

  #hold(): void {
    this.#isTaken = true;
    this.#later(() => {
      this.#isTaken = false;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#hold();
      next();
    });
  }
}
