import type { ObjectStorage } from './workers-platform.js';

/**
 * What is due sooner waits in memory: a second in which the object may not hibernate costs about what it costs to set an alarm, to wake up
 * for it, and to run it. What is due later is left to the alarm, beside which the object hibernates.
 */
const TIMER_MS_MAX = 1_000;

/** All that one object has to do later. There is one alarm, and it is set only where something is to be done. */
export class ObjectAlarm {
  readonly #storage: ObjectStorage;
  readonly #nowMs: () => number;
  /** After a timer has run. */
  readonly #ran: () => void;
  #dues: { readonly atMs: number; readonly run: () => void }[] = [];
  #setForMs: number | undefined;
  #isInherited = false;

  constructor(storage: ObjectStorage, nowMs: () => number, ran: () => void) {
    this.#storage = storage;
    this.#nowMs = nowMs;
    this.#ran = ran;
  }

  /** Whether nothing is waited for. */
  get isUnset(): boolean {
    return this.#setForMs === undefined;
  }

  /** An alarm that is set already was set by an instance of the object that is gone. */
  async load(): Promise<void> {
    this.#setForMs = (await this.#storage.getAlarm()) ?? undefined;
    this.#isInherited = this.#setForMs !== undefined;
  }

  readonly later = (delayMs: number, run: () => void): void => {
    if (delayMs <= TIMER_MS_MAX) {
      setTimeout(() => {
        run();
        this.#ran();
      }, delayMs);
      return;
    }
    const atMs = this.#nowMs() + delayMs;
    this.#dues.push({ atMs, run });
    this.wakeAt(atMs);
  };

  /** The object is called by then at the latest. */
  wakeAt(atMs: number): void {
    if (this.#setForMs !== undefined && this.#setForMs <= atMs) return;
    this.#setForMs = atMs;
    void this.#storage.setAlarm(atMs);
  }

  /** True where the alarm may have been set for something that nobody in memory knows of. */
  ring(): boolean {
    const nowMs = this.#nowMs();
    const due = this.#dues.filter(({ atMs }) => atMs <= nowMs);
    this.#dues = this.#dues.filter(({ atMs }) => atMs > nowMs);
    this.#setForMs = undefined;
    for (const { run } of due) run();
    for (const { atMs } of this.#dues) this.wakeAt(atMs);
    const wasInherited = this.#isInherited;
    this.#isInherited = false;
    return wasInherited;
  }
}
