import type { Health, RoomStatus, StorageMetrics } from '../types.js';
import type { Vitals } from '../worker/engine-api.js';
import { judgeHealth, type Signs } from './judge.js';
import { beginTimes, noteStatus, type PageClock, type Times } from './times.js';

/** How often somebody who listens is looked for. */
const LOOK_MS = 5_000;
const WELL: Vitals = { ownerSilentMs: 0, isUnguarded: false };

export interface HealthHost {
  readonly clock: PageClock;
  /** Asks the worker how it is. */
  ask(): Promise<Vitals>;
  status(): RoomStatus;
  storage(): StorageMetrics;
  /** When the room was first used, by the steady clock; undefined before that and after its end. */
  openedAtMs(): number | undefined;
}

/**
 * How a room is, as far as its page can tell. Nothing is asked of the worker unless somebody looks or listens: a room that is well costs
 * nothing.
 */
export class HealthWatch {
  readonly #host: HealthHost;
  readonly #listeners = new Set<(health: Health) => void>();
  #times: Times;
  #vitals: Vitals = WELL;
  /** When the question was asked that is not answered yet. */
  #askedAtMs: number | undefined;
  #lookedAtMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #told = '';

  constructor(host: HealthHost) {
    this.#host = host;
    this.#times = beginTimes(host.status(), host.clock.steadyMs());
  }

  look(): Health {
    const nowMs = this.#host.clock.steadyMs();
    const health = judgeHealth(this.#signs(nowMs));
    this.#lookedAtMs = nowMs;
    this.#ask(nowMs);
    return health;
  }

  listen(listener: (health: Health) => void): () => void {
    if (this.#listeners.size === 0) this.#told = String(this.look().reasons);
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => this.#tell(), LOOK_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  noteStatus(status: RoomStatus): void {
    this.#times = noteStatus(this.#times, status, this.#host.clock.steadyMs());
    if (this.#listeners.size > 0) this.#tell();
  }

  /** The room is closed: who listens is told so, and nothing after that. */
  close(): void {
    if (this.#listeners.size > 0) this.#tell();
    this.#listeners.clear();
    this.#stop();
  }

  #tell(): void {
    const health = this.look();
    const reasons = String(health.reasons);
    if (reasons === this.#told) return;
    this.#told = reasons;
    for (const listener of [...this.#listeners]) listener(health);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #signs(nowMs: number): Signs {
    const { takenAtMs, connectionAtMs, takenUpAtMs, movedAtMs } = this.#times;
    const openedAtMs = this.#host.openedAtMs();
    const status = this.#host.status();
    const { lastSyncedAtMs } = status.staleness;
    const { persisted, lostWrites } = this.#host.storage();
    return {
      status,
      statusMs: nowMs - takenAtMs,
      isOpen: openedAtMs !== undefined,
      openMs: nowMs - (openedAtMs ?? nowMs),
      connectionMs: nowMs - Math.max(connectionAtMs, openedAtMs ?? 0),
      untakenMs: nowMs - takenUpAtMs,
      stillMs: nowMs - movedAtMs,
      unsyncedMs: lastSyncedAtMs === null ? null : this.#host.clock.nowMs() - lastSyncedAtMs,
      // Up to the look before this one: a page that slept in between has not given the answer the time to come.
      workerSilentMs: this.#askedAtMs === undefined ? 0 : Math.max(0, this.#lookedAtMs - this.#askedAtMs),
      isPersisted: persisted,
      lostWrites,
      ...this.#vitals,
    };
  }

  #ask(nowMs: number): void {
    if (this.#askedAtMs !== undefined || this.#host.openedAtMs() === undefined) return;
    this.#askedAtMs = nowMs;
    this.#host.ask().then(
      (vitals) => this.#answered(vitals),
      // A room that could not be opened, or is closed by now: a worker has said so.
      () => this.#answered(WELL),
    );
  }

  #answered(vitals: Vitals): void {
    this.#vitals = vitals;
    this.#askedAtMs = undefined;
  }
}
