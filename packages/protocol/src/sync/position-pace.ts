import type { Limits } from '../limits.js';
import type { Position } from '../room/log.js';

/** What a pace needs of whoever runs it. */
export interface PaceHost {
  nowMs(): number;
  /** Runs once, so much later; never, if the room ends before. */
  later(delayMs: number, run: () => void): void;
  /** Everybody is to be told where the room stands now. */
  due(position: Position): void;
}

/**
 * When a relay tells where its log stands [SY22]: with the first commit after `positionEveryMs` without one; then when there was no commit for
 * `positionRestMs`, and once in `positionEveryMs` while they go on. One for each room, so that a commit is told to all links alike.
 */
export class PositionPace {
  readonly #host: PaceHost;
  readonly #limits: Pick<Limits, 'positionEveryMs' | 'positionRestMs'>;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #committedAtMs = Number.NEGATIVE_INFINITY;
  /** What is to be told when the time has come. */
  #owed: Position | undefined;

  constructor(host: PaceHost, limits: Pick<Limits, 'positionEveryMs' | 'positionRestMs'>) {
    this.#host = host;
    this.#limits = limits;
  }

  /** Whether something is still to be told. */
  get isWaiting(): boolean {
    return this.#owed !== undefined;
  }

  /** Whether the position of this commit is told with it; where not, it follows. */
  tells(position: Position): boolean {
    const nowMs = this.#host.nowMs();
    const { isWaiting } = this;
    // A clock that was put back makes nobody wait: then the last time lies ahead.
    const isFirst = nowMs < this.#toldAtMs || nowMs >= this.#toldAtMs + this.#limits.positionEveryMs;
    this.#committedAtMs = nowMs;
    if (!isWaiting && isFirst) {
      this.#toldAtMs = nowMs;
      return true;
    }
    this.#owed = position;
    if (!isWaiting) this.#wait();
    return false;
  }

  #wait(): void {
    const { positionEveryMs, positionRestMs } = this.#limits;
    const dueMs = Math.min(this.#toldAtMs + positionEveryMs, this.#committedAtMs + positionRestMs);
    const delayMs = Math.max(0, Math.min(positionRestMs, dueMs - this.#host.nowMs()));
    this.#host.later(delayMs, () => this.#look(delayMs));
  }

  #look(waitedMs: number): void {
    const position = this.#owed;
    if (position === undefined) return;
    const nowMs = this.#host.nowMs();
    const { positionEveryMs, positionRestMs } = this.#limits;
    const isDue = nowMs >= this.#toldAtMs + positionEveryMs || nowMs >= this.#committedAtMs + positionRestMs;
    // Time that does not pass is a clock that was put back.
    if (!isDue && nowMs >= this.#toldAtMs && waitedMs > 0) {
      this.#wait();
      return;
    }
    this.#owed = undefined;
    this.#toldAtMs = nowMs;
    this.#host.due(position);
  }
}
