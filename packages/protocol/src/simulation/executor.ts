import type { Random } from './random.js';

export interface ExecutorHost<Event, Effect> {
  /** Steps the machine and returns what is to be done. */
  step(event: Event): readonly Effect[];
  /** Does it, now or later, and calls `done` once, with the answer if there is one. */
  run(effect: Effect, done: (answer?: Event) => void): void;
}

/** How a driver orders what the contract of `stepSync` leaves open; every world draws its own. */
export interface ExecutorHabits {
  /** Effects of an answer run before what is left of the step that asked, or after it. */
  readonly answers: 'first' | 'last';
  /** What happens on this side is stepped between two effects, or waits until all effects have run. */
  readonly ownEvents: 'at-once' | 'in-turn';
}

export function drawHabits(random: Random): ExecutorHabits {
  return { answers: random.pick(['first', 'last']), ownEvents: random.pick(['at-once', 'in-turn']) };
}

const QUEUE_MAX = 20_000;

/** Runs one end of a link: events one at a time, effects in order, answers before the next message from the peer. */
export class Executor<Event, Effect> {
  readonly #host: ExecutorHost<Event, Effect>;
  readonly #habits: ExecutorHabits;
  readonly #inbox: Event[] = [];
  #effects: Effect[] = [];
  #isBusy = false;
  #isPumping = false;
  #isStopped = false;

  constructor(host: ExecutorHost<Event, Effect>, habits: ExecutorHabits) {
    this.#host = host;
    this.#habits = habits;
  }

  get isIdle(): boolean {
    return !this.#isBusy && this.#inbox.length === 0 && this.#effects.length === 0;
  }

  /** From the peer: waits for its turn. */
  receive(event: Event): void {
    if (this.#isStopped) return;
    this.#inbox.push(event);
    if (this.#inbox.length > QUEUE_MAX) throw new Error(`a link has ${this.#inbox.length} events waiting`);
    this.#pump();
  }

  /** From this side. */
  happen(event: Event): void {
    if (this.#habits.ownEvents === 'in-turn') this.receive(event);
    else this.stepNow(event);
  }

  /** From this side, where its place among the transactions matters. */
  stepNow(event: Event): void {
    if (this.#isStopped) return;
    this.#effects.push(...this.#host.step(event));
    this.#pump();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #pump(): void {
    // An effect that is done at once calls back from within the loop below, which then goes on by itself.
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#runAll();
    this.#isPumping = false;
  }

  #runAll(): void {
    while (!this.#isBusy && !this.#isStopped) {
      const effect = this.#effects.shift();
      if (effect !== undefined) {
        this.#isBusy = true;
        this.#host.run(effect, (answer) => this.#done(answer));
      } else {
        const event = this.#inbox.shift();
        if (event === undefined) return;
        this.#effects.push(...this.#host.step(event));
      }
      if (this.#effects.length > QUEUE_MAX) throw new Error(`a link has ${this.#effects.length} effects waiting`);
    }
  }

  #done(answer: Event | undefined): void {
    if (this.#isStopped) return;
    this.#isBusy = false;
    if (answer !== undefined) {
      const effects = this.#host.step(answer);
      if (this.#habits.answers === 'first') this.#effects.unshift(...effects);
      else this.#effects.push(...effects);
    }
    this.#pump();
  }
}
