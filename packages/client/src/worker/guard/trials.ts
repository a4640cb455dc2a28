import type { DeltaId, ErrorCode, KeyId, ReplicaId } from '@mangrove/protocol';
import { TRIES } from './budget.js';
import { type Known, type Outcome, ShadowHost, type StartShadow } from './shadow-host.js';
import type { Tried } from '../../documents/shadow.js';

/** An update that is to be tried before anybody uses it. */
export interface Trial extends Tried {
  readonly id: DeltaId;
  readonly keyId: KeyId;
  readonly replica: ReplicaId;
}

/** Why it cannot be used, or that it can. */
export interface Verdict {
  readonly fault: ErrorCode | undefined;
  readonly reason?: string;
}

export interface Begun {
  /** Undefined where the first try took too long. */
  readonly first: Promise<Verdict | undefined>;
  /** Undefined where trying ended before there was one. */
  readonly final: Promise<Verdict | undefined>;
}

export interface TrialsHost {
  readonly startShadow: StartShadow;
  readonly clock: { nowMs(): number };
  /** What a document is made of now. */
  read(keyId: KeyId): Promise<readonly Known[]>;
}

const PASSED: Verdict = { fault: undefined };
const OVER: Verdict = { fault: 'UPDATE_TOO_COSTLY', reason: 'it takes too long to apply' };

/** One after the other, in a shadow of its own. */
interface Lane {
  readonly shadow: ShadowHost;
  last: Promise<unknown>;
}

/**
 * Tries updates [CX9]. What took too long once is tried again with more time, and so is all that its author sends from then on, apart from
 * what others send: it holds nobody else up.
 */
export class Trials {
  readonly #host: TrialsHost;
  readonly #ordinary: Lane;
  readonly #suspect: Lane;
  readonly #suspects = new Set<ReplicaId>();
  #isStopped = false;

  constructor(host: TrialsHost) {
    this.#host = host;
    const lane = (): Lane => ({ shadow: new ShadowHost(host.startShadow, host.clock), last: Promise.resolve() });
    this.#ordinary = lane();
    this.#suspect = lane();
  }

  /** Whether its author has sent what took too long, since this was made. */
  isSuspect({ replica }: Pick<Trial, 'replica'>): boolean {
    return this.#suspects.has(replica);
  }

  /** Something was to be tried, and could not be. */
  get isUnable(): boolean {
    return [this.#ordinary, this.#suspect].some(({ shadow }) => shadow.isRefused);
  }

  /** Updates of one document are tried together, as that is how they are applied. */
  begin(trials: readonly Trial[]): ReadonlyMap<DeltaId, Begun> {
    const begun = new Map<DeltaId, Begun>();
    for (const group of groupsOf(trials, (trial) => `${trial.keyId} ${this.isSuspect(trial)}`)) {
      const lane = group.some((trial) => this.isSuspect(trial)) ? this.#suspect : this.#ordinary;
      const outcomes = this.#queue(lane, () => this.#tryGroup(lane, group));
      for (const trial of group) {
        const outcome = outcomes.then((all) => all.get(trial.id));
        const first = outcome.then((one) => (one === 'over' ? undefined : verdictOf(one)));
        const final = outcome.then((one) => (one === 'over' ? this.#again(trial, 1) : verdictOf(one)));
        begun.set(trial.id, { first, final });
      }
    }
    return begun;
  }

  /** What is under way ends without a verdict. */
  stop(): void {
    this.#isStopped = true;
    for (const { shadow } of [this.#ordinary, this.#suspect]) shadow.end();
  }

  async #tryGroup(lane: Lane, group: readonly Trial[]): Promise<ReadonlyMap<DeltaId, Outcome | 'stopped'>> {
    const together = await this.#try(lane, group, 0);
    const outcomes = new Map(group.map(({ id }) => [id, together]));
    const isClear = together === 'passed' || together === 'untried' || together === 'stopped';
    if (!isClear && group.length > 1)
      for (const trial of group) outcomes.set(trial.id, await this.#try(lane, [trial], 0));
    for (const trial of group) if (outcomes.get(trial.id) === 'over') this.#suspects.add(trial.replica);
    return outcomes;
  }

  async #again(trial: Trial, round: number): Promise<Verdict | undefined> {
    const outcome = await this.#queue(this.#suspect, () => this.#try(this.#suspect, [trial], round));
    if (outcome !== 'over') return verdictOf(outcome);
    return round + 1 < TRIES ? this.#again(trial, round + 1) : OVER;
  }

  async #try({ shadow }: Lane, group: readonly Trial[], round: number): Promise<Outcome | 'stopped'> {
    const [{ keyId }] = group as [Trial];
    if (this.#isStopped) return 'stopped';
    try {
      const outcome = await shadow.run({ keyId, known: await this.#host.read(keyId), tried: group }, round);
      return this.#isStopped ? 'stopped' : outcome;
    } catch {
      // The store fails, and tells so to whoever uses it next.
      return 'stopped';
    }
  }

  #queue<Result>(lane: Lane, work: () => Promise<Result>): Promise<Result> {
    const done = lane.last.then(work);
    lane.last = done.catch(() => {});
    return done;
  }
}

/** What cannot be tried is used as it always was: looked through. */
function verdictOf(outcome: Outcome | 'stopped' | undefined): Verdict | undefined {
  if (outcome === undefined || outcome === 'stopped') return undefined;
  if (outcome === 'over') return OVER;
  return typeof outcome === 'string' ? PASSED : { fault: 'UNDECODABLE', reason: outcome.fault };
}

function groupsOf<One>(all: readonly One[], nameOf: (one: One) => string): Iterable<readonly One[]> {
  const groups = new Map<string, One[]>();
  for (const one of all) groups.set(nameOf(one), [...(groups.get(nameOf(one)) ?? []), one]);
  return groups.values();
}
