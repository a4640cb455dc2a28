import { type ErrorCode, isMangroveError, type MangroveError } from '../errors.js';
import type { RoomRef } from '../room/room-ref.js';
import {
  addFindings,
  ALL_PHASES,
  FIRST_PLACE,
  NOTHING_FOUND,
  placeWithin,
  type ScrubFindings,
  type ScrubPhase,
  scrubStep,
  WITHOUT_BODIES,
} from '../room/scrub.js';
import type { Plan } from './plan.js';
import type { Store, TransactOptions } from './store.js';

/**
 * [AE3] A store whose plans do not stumble twice over the same damage: where one meets a row that cannot be read, or an index that
 * contradicts the rows, what is derived is scrubbed and the plan runs again. What is still wrong after that is thrown as before, or as what
 * `giveUp` makes of it.
 */
export class HealingStore implements Store {
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #giveUp: (damage: MangroveError) => MangroveError;
  #listener: ((findings: ScrubFindings) => void) | undefined;
  /** What nobody has heard of yet. */
  #unheard = NOTHING_FOUND;
  #healing: { readonly phases: ReadonlySet<ScrubPhase>; readonly done: Promise<void> } | undefined;

  constructor(store: Store, room: RoomRef, giveUp: (damage: MangroveError) => MangroveError = (damage) => damage) {
    this.#store = store;
    this.#room = room;
    this.#giveUp = giveUp;
  }

  /** `listener` hears of each scrub that a plan has set off, also of those before it was there. */
  listen(listener: (findings: ScrubFindings) => void): void {
    this.#listener = listener;
    const before = this.#unheard;
    this.#unheard = NOTHING_FOUND;
    if (before.rows > 0) listener(before);
  }

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    // What is derived costs little to look at and is enough where rows are missing; a row that is no delta takes reading all bodies.
    for (const phases of [WITHOUT_BODIES, ALL_PHASES]) {
      try {
        return await this.#store.transact(plan, options);
      } catch (error) {
        if (!isDamage(error)) throw error;
      }
      await this.#heal(phases);
    }
    try {
      return await this.#store.transact(plan, options);
    } catch (error) {
      throw isDamage(error) ? this.#giveUp(error) : error;
    }
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  /** One at a time: plans that were started together stumble together. */
  async #heal(phases: ReadonlySet<ScrubPhase>): Promise<void> {
    if (this.#healing?.phases !== phases) {
      const done = scrubAll(this.#store, this.#room, phases).then((findings) => this.#tell(findings));
      this.#healing = { phases, done: done.finally(() => (this.#healing = undefined)) };
    }
    await this.#healing.done;
  }

  #tell(findings: ScrubFindings): void {
    if (this.#listener === undefined) this.#unheard = addFindings(this.#unheard, findings);
    else this.#listener(findings);
  }
}

/** Scrubs a store from its beginning to its end, a short transaction at a time. */
export async function scrubAll(store: Store, room: RoomRef, phases = ALL_PHASES): Promise<ScrubFindings> {
  let findings = NOTHING_FOUND;
  for (let place = placeWithin(FIRST_PLACE, phases); place !== undefined; ) {
    const at = place;
    const step = await store.transact((tx) => scrubStep(tx, room, at, phases), {
      mode: 'write',
      durability: 'relaxed',
    });
    findings = addFindings(findings, step.findings);
    place = step.next;
  }
  return findings;
}

const DAMAGE: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'DELTA_MALFORMED', 'WRONG_ROOM', 'FRAME_MALFORMED']);

/** What plans throw about rows on a disk; whatever else they throw is about what they were asked. */
export function isDamage(error: unknown): error is MangroveError {
  return isMangroveError(error) && DAMAGE.has(error.code);
}
