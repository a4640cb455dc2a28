import { vi } from 'vitest';

const STEP_MS = 5;
const LOOKS_MAX = 20_000;

/** Sockets take turns of the event loop, timers take our time: a little of both with each look. */
export class SocketTime {
  nowMs = 0;

  /** `explain`: what has happened instead. */
  async until(what: string, isSo: () => boolean, explain: () => string): Promise<void> {
    for (let i = 0; i < LOOKS_MAX; i++) {
      if (isSo()) return;
      await this.#step(STEP_MS);
    }
    throw new Error(`waited in vain for ${what}; ${explain()}`);
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) await this.#step(50);
  }

  async #step(ms: number): Promise<void> {
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
    this.nowMs += ms;
    vi.advanceTimersByTime(ms);
  }
}
