import type { HeadStatement } from '../head-statement.js';
import type { ReplicaId } from '../ids.js';
import type { Limits } from '../limits.js';

/** What a pace needs of whoever runs it. */
export interface HeadPaceHost {
  /** How many are connected. */
  readonly connected: number;
  /** Runs once, so much later; never, if the room ends before. */
  later(delayMs: number, run: () => void): void;
  /** Everybody who is connected is to be told what this gives for its replica. */
  tell(of: (replica: ReplicaId) => readonly HeadStatement[]): void;
  /** Each peer of the relay is to be told these: those who wait for them may be at any of them. */
  tellPeers?(statements: readonly HeadStatement[]): void;
}

/** The newest statement of a replica, and what those who are connected were told of it before. */
interface Kept {
  readonly statement: HeadStatement;
  readonly before: HeadStatement | undefined;
}

/** A telling every quarter of a second costs sixteen who are connected what is told once a second to sixty-four. */
const SOON_CONNECTED = 16;
const REST_CONNECTED = 10;
const REST_TIMES_MAX = 30;

/**
 * When a relay tells whom what others have said of themselves [SY23]. Soon: whoever has waited for it, as it reaches further into its own deltas, and
 * everybody where a replica is heard of for the first time. All else together, much later. In a room of n replicas each write brings n statements
 * about, so that telling each of them to everybody at once would cost n² messages.
 */
export class HeadPace {
  readonly #host: HeadPaceHost;
  readonly #limits: Pick<Limits, 'headSoonMs' | 'headRestMs'>;
  #soon = new Map<ReplicaId, Kept>();
  /** Was told to those it concerns, and to nobody else yet. */
  #rest = new Map<ReplicaId, Kept>();

  constructor(host: HeadPaceHost, limits: Pick<Limits, 'headSoonMs' | 'headRestMs'>) {
    this.#host = host;
    this.#limits = limits;
  }

  /** A statement has taken the place of the one before it. */
  kept(statement: HeadStatement, before: HeadStatement | undefined): void {
    const { replica } = statement;
    const waiting = this.#soon.get(replica);
    if (this.#soon.size === 0) this.#host.later(this.#soonMs(), () => this.#tellSoon());
    this.#soon.set(replica, { statement, before: waiting === undefined ? before : waiting.before });
  }

  #soonMs(): number {
    const { headSoonMs, headRestMs } = this.#limits;
    return Math.min(headRestMs, headSoonMs * Math.max(1, this.#host.connected / SOON_CONNECTED));
  }

  #restMs(): number {
    return this.#limits.headRestMs * Math.min(REST_TIMES_MAX, Math.max(1, this.#host.connected / REST_CONNECTED));
  }

  #tellSoon(): void {
    const soon = this.#soon;
    this.#soon = new Map();
    this.#host.tell((replica) => select(soon, (kept) => kept.statement.replica !== replica && concerns(kept, replica)));
    this.#host.tellPeers?.(select(soon, () => true));
    if (this.#rest.size === 0) this.#host.later(this.#restMs(), () => this.#tellRest());
    for (const [replica, kept] of soon) this.#rest.set(replica, kept);
  }

  #tellRest(): void {
    const rest = this.#rest;
    this.#rest = new Map();
    this.#host.tell((replica) =>
      select(rest, (kept) => kept.statement.replica !== replica && !concerns(kept, replica)),
    );
  }
}

function concerns({ statement, before }: Kept, replica: ReplicaId): boolean {
  return before === undefined || (statement.vector.get(replica) ?? 0) > (before.vector.get(replica) ?? 0);
}

function select(kept: ReadonlyMap<ReplicaId, Kept>, isToTell: (kept: Kept) => boolean): readonly HeadStatement[] {
  return [...kept.values()].filter(isToTell).map(({ statement }) => statement);
}
