import type { DeltaId, KeyId } from '@mangrove/protocol';
import { GRACE_MS, loadBudgetMs, TICK_MS, tickMs, tryBudgetMs } from './budget.js';
import type { ShadowAnswer, ShadowOrder, Tried } from '../../documents/shadow.js';

/** A worker that can be ended whatever it does. */
export interface ShadowPort {
  post(order: ShadowOrder): void;
  end(): void;
}

export interface ShadowEvents {
  answered(answer: ShadowAnswer): void;
  /** It could not be started, or has failed, and answers nothing. */
  broken(): void;
}

/** Undefined where a worker cannot start another. */
export type StartShadow = (events: ShadowEvents) => ShadowPort | undefined;

/** An update that is there; `id` is the same for the same content. */
export interface Known {
  readonly id: string;
  readonly update: Uint8Array;
}

export interface Job {
  readonly keyId: KeyId;
  /** What the document is made of. */
  readonly known: readonly Known[];
  readonly tried: readonly (Tried & { readonly id: DeltaId })[];
}

/** `untried`: no worker could be started. */
export type Outcome = { readonly fault: string } | 'passed' | 'over' | 'untried';

type Heard = ShadowAnswer | 'over' | 'broken' | 'ended';

/** What a worker takes to load its script, on a device that is busy. */
const START_MS_MAX = 10_000;
/** With nothing to try its memory is given back. */
const IDLE_MS_MAX = 10_000;

/** One shadow: started when there is something to try, ended when that takes too long. It does one job at a time. */
export class ShadowHost {
  readonly #start: StartShadow;
  readonly #clock: { nowMs(): number };
  #port: ShadowPort | undefined;
  #hear: (heard: Heard) => void = () => {};
  #loaded: { readonly keyId: KeyId; readonly ids: Set<string> } | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #isRefused = false;
  #isEnded = false;

  constructor(start: StartShadow, clock: { nowMs(): number }) {
    this.#start = start;
    this.#clock = clock;
  }

  /** A worker was wanted and is not to be had: none is asked for again. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** `round`: 0 for the first try. */
  async run({ keyId, known, tried }: Job, round: number): Promise<Outcome> {
    clearTimeout(this.#idle);
    if (!(await this.#begin())) return 'untried';
    if (!(await this.#load(keyId, known))) {
      // What cannot be loaded says nothing of the update, which is tried on nothing then.
      if (!(await this.#begin()) || !(await this.#load(keyId, []))) return 'untried';
    }
    const budgetMs = tryBudgetMs(sizeOf(tried.map(({ update }) => update)), round);
    const heard = await this.#ask(
      { kind: 'try', tried: tried.map(({ update, isWhole }) => ({ update, isWhole })) },
      budgetMs,
    );
    if (heard === 'ended') return 'untried';
    // A worker that fails at it has run out of something else than time.
    if (heard === 'over' || heard === 'broken') {
      this.#end();
      return 'over';
    }
    this.#idle = setTimeout(() => this.#end(), IDLE_MS_MAX);
    if (heard.fault !== undefined) {
      this.#loaded = undefined;
      return { fault: heard.fault };
    }
    for (const { id } of tried) this.#loaded?.ids.add(id);
    return 'passed';
  }

  /** What is under way ends untried. */
  end(): void {
    this.#isEnded = true;
    this.#hear('ended');
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#idle);
    this.#port?.end();
    this.#port = undefined;
    this.#loaded = undefined;
  }

  /** Whether there is a worker. */
  async #begin(): Promise<boolean> {
    if (this.#port !== undefined) return true;
    if (this.#isRefused || this.#isEnded) return false;
    const heard = this.#next(START_MS_MAX);
    const port = this.#start({
      answered: (answer) => this.#port === port && this.#hear(answer),
      broken: () => this.#port === port && this.#hear('broken'),
    });
    this.#port = port;
    if (port === undefined) this.#hear('broken');
    const begun = await heard;
    if (typeof begun === 'object') return true;
    // One that took too long may be in time another day.
    if (begun === 'broken') this.#isRefused = true;
    this.#end();
    return false;
  }

  async #load(keyId: KeyId, known: readonly Known[]): Promise<boolean> {
    const ids = this.#loaded?.keyId === keyId ? this.#loaded.ids : undefined;
    const updates = known.filter(({ id }) => !ids?.has(id)).map(({ update }) => update);
    const heard = await this.#ask({ kind: 'load', isFresh: ids === undefined, updates }, loadBudgetMs(sizeOf(updates)));
    if (typeof heard === 'object' && heard.fault === undefined) {
      this.#loaded = { keyId, ids: new Set([...(ids ?? []), ...known.map(({ id }) => id)]) };
      return true;
    }
    this.#end();
    return false;
  }

  #ask(order: ShadowOrder, budgetMs: number): Promise<Heard> {
    const heard = this.#next(budgetMs);
    this.#port?.post(order);
    return heard;
  }

  /** The next answer. Time is counted here, where a computation that never ends does not stop it. */
  #next(budgetMs: number): Promise<Heard> {
    return new Promise((resolve) => {
      let spentMs = 0;
      let atMs = this.#clock.nowMs();
      let grace: ReturnType<typeof setTimeout> | undefined;
      const tick = setInterval(() => {
        const nowMs = this.#clock.nowMs();
        spentMs += tickMs(nowMs - atMs);
        atMs = nowMs;
        if (spentMs >= budgetMs) grace ??= setTimeout(() => this.#hear('over'), GRACE_MS);
      }, TICK_MS);
      this.#hear = (heard) => {
        this.#hear = () => {};
        clearInterval(tick);
        clearTimeout(grace);
        resolve(heard);
      };
    });
  }
}

const sizeOf = (updates: readonly Uint8Array[]): number => updates.reduce((sum, { length }) => sum + length, 0);
