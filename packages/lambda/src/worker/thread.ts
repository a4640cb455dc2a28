import type { Failure, FailureCode } from '../failure.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { SandboxWorker, StartWorker } from './sandbox-worker.js';

/** What the worker answers, or why it will not. */
export type Answer = Exclude<FromWorker, { type: 'loaded' }> | { readonly type: 'ended'; readonly error: Failure };

/** A worker that is asked one thing at a time, and ended when it takes too long to answer. */
export class Thread {
  readonly #worker: SandboxWorker;
  readonly #watchdogMs: number;
  #answer: ((answer: Answer) => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended: Failure | undefined;

  constructor(startWorker: StartWorker, watchdogMs: number) {
    this.#watchdogMs = watchdogMs;
    this.#worker = startWorker({
      onMessage: (message) => this.#take(message),
      onFailure: (reason) => this.end('UNAVAILABLE', reason),
    });
  }

  get isOver(): boolean {
    return this.#ended !== undefined;
  }

  ask(message: ToWorker): Promise<Answer> {
    return new Promise((resolve) => {
      if (this.#ended !== undefined) return resolve({ type: 'ended', error: this.#ended });
      this.#answer = resolve;
      // Fetching the engine takes as long as the network takes: `prepare` is timed from when it is there.
      if (message.type === 'run') this.#watch();
      this.#worker.post(message);
    });
  }

  end(code: FailureCode, detail: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = { code, detail };
    this.#worker.terminate();
    this.#settle({ type: 'ended', error: this.#ended });
  }

  #watch(): void {
    const detail = `it took over ${this.#watchdogMs} ms`;
    this.#timer = setTimeout(() => this.end('TIMED_OUT', detail), this.#watchdogMs);
  }

  #take(message: FromWorker): void {
    // What was on its way when the worker was ended comes too late.
    if (this.isOver) return;
    if (message.type === 'loaded') this.#watch();
    else this.#settle(message);
  }

  #settle(answer: Answer): void {
    clearTimeout(this.#timer);
    this.#answer?.(answer);
    this.#answer = undefined;
  }
}
