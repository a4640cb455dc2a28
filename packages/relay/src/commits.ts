import {
  type AcceptOptions,
  acceptAndLog,
  arrivedInParts,
  cleanRoom,
  type CommittedDelta,
  type Delta,
  defaultLimits,
  isMangroveError,
  isNews,
  type Outcome,
  type Plan,
  type Position,
  PositionPace,
  type PushedDelta,
  readPosition,
  type Refusal,
  type RelayEvent,
  type ReplicaId,
  type RoomRef,
  type OverQuota,
  type Quota,
  siftByQuota,
  type Steps,
  type Store,
  type Transaction,
} from '@mangrove/protocol';
import { type Link, RETRY } from './link.js';
import type { RelayPorts } from './ports.js';

/** Deltas that share one transaction: as many as keep one plan a short piece of work. */
const BATCH_DELTAS_MAX = 2_048;
/** And as much as may be in memory several times over. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** Each commit cleans away at least twice as much as it leaves to be cleaned, so that what has outlived its time cannot pile up. */
const SPARE_ROWS = 16;

/** What one connection pushed in one message and is left of it after verification. */
export interface Push {
  readonly link: Link;
  readonly replica: ReplicaId;
  readonly deltas: readonly PushedDelta[];
  readonly refusals: readonly Refusal[];
  /** What it took from the client's window. */
  readonly bytes: number;
}

interface Waiting extends Push {
  readonly sinceMs: number;
  readonly done: () => void;
}

interface Committed {
  /** For each push what became of its deltas, in their order. */
  readonly outcomes: readonly (readonly (Outcome | OverQuota)[])[];
  readonly fresh: readonly CommittedDelta[];
  /** How many of them were sent as a repair. */
  readonly repaired: number;
  /** How many deltas left the set, or came too late for it: so many are kept for a while, or in the log. */
  readonly superseded: number;
  readonly position: Position;
}

export interface CommitHost {
  readonly ports: RelayPorts;
  /** To every link of the room that takes commits. */
  announce(event: RelayEvent): void;
  /** To every link that is fetching something: these need not be fetched any more. */
  arrived(trieKeys: readonly Uint8Array[]): void;
  /** Whether what came over this connection may be taken still [SY24]. */
  takes(push: Push): boolean;
  /** Ends every connection of the room: whoever comes back is told everything anew. */
  letGo(reason: string): void;
}

/**
 * Group commit of one room: while a transaction is under way later pushes wait and then go into the next one together, so that a
 * strict barrier is paid once for all of them. One transaction at a time also keeps positions in the order they are announced.
 */
export class CommitQueue {
  readonly #host: CommitHost;
  readonly #store: Store;
  readonly #room: RoomRef;
  #waiting: Waiting[] = [];
  #alone: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  readonly #pace: PositionPace;

  constructor(host: CommitHost, store: Store, room: RoomRef) {
    this.#host = host;
    this.#store = store;
    this.#room = room;
    const { clock, later, limits } = host.ports;
    const pace = {
      nowMs: () => clock.nowMs(),
      later,
      due: (position: Position) => host.announce({ kind: 'position-due', position }),
    };
    this.#pace = new PositionPace(pace, limits);
  }

  /** Resolves, and never rejects, when the push is on disk and announced, or its connection was let go. */
  add(push: Push): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ ...push, sinceMs: performance.now(), done });
      this.#start();
    });
  }

  /** Runs something between two commits. */
  alone<Result>(task: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#alone.push(() => task().then(resolve, reject));
      this.#start();
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // One may have come between the last look and now.
      if (this.#waiting.length + this.#alone.length > 0) this.#start();
    });
  }

  async #run(): Promise<void> {
    // The pushes of one turn of the event loop come together before the first transaction begins.
    await Promise.resolve();
    for (;;) {
      const task = this.#alone.shift();
      if (task !== undefined) await task();
      else if (this.#waiting.length > 0) {
        const batch = this.#takeBatch();
        if (batch.length > 0) await this.#commit(batch);
      } else return;
    }
  }

  #takeBatch(): readonly Waiting[] {
    this.#waiting = this.#waiting.filter((push) => {
      const isTaken = this.#host.takes(push);
      if (!isTaken) push.done();
      return isTaken;
    });
    let deltas = 0;
    let bytes = 0;
    let count = 0;
    for (const push of this.#waiting) {
      deltas += push.deltas.length;
      bytes += bytesOfPush(push);
      if (count > 0 && (deltas > BATCH_DELTAS_MAX || bytes > BATCH_BYTES_MAX)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Pushes that wait for the transaction after the one that is under way. */
  get waiting(): number {
    return this.#waiting.length;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const { counters } = this.#host.ports;
    const beganMs = performance.now();
    for (const { sinceMs } of batch) counters.observe('push_wait_seconds', (beganMs - sinceMs) / 1_000);
    let committed: Committed;
    try {
      committed = await this.#store.transact(this.#plan(batch), { mode: 'write', durability: 'strict' });
    } catch (error) {
      return await this.#failed(batch, error);
    }
    counters.observe('commit_seconds', (performance.now() - beganMs) / 1_000);
    counters.observe(
      'commit_deltas',
      batch.reduce((sum, { deltas }) => sum + deltas.length, 0),
    );
    this.#announce(batch, committed);
    for (const push of batch) push.done();
  }

  /** A bug that one push hits must not take the others of its batch along; a full disk hits them all. */
  async #failed(batch: readonly Waiting[], error: unknown): Promise<void> {
    this.#host.ports.counters.add('commits_failed');
    if (batch.length > 1 && !isMangroveError(error)) {
      for (const push of batch) await this.#commit([push]);
      return;
    }
    for (const push of batch) {
      if (isMangroveError(error) && error.retryable) push.link.shut(RETRY.tryAgainLater, error.code);
      else push.link.fail(error);
      push.done();
    }
  }

  #plan(batch: readonly Waiting[]): Plan<Committed> {
    const { clock, limits, quota } = this.#host.ports;
    const nowMs = clock.nowMs();
    const room = this.#room;
    return function* (tx) {
      const committed = yield* commitBatch(tx, room, batch, quota, nowMs);
      const rowsMax = 2 * (committed.superseded + committed.fresh.length) + SPARE_ROWS;
      yield* cleanRoom(tx, nowMs, limits, rowsMax);
      return committed;
    };
  }

  /** What is new goes to everybody before the acknowledgement, whose position says that it has come [SY6]. */
  #announce(batch: readonly Waiting[], { outcomes, fresh, repaired, position }: Committed): void {
    const { counters } = this.#host.ports;
    counters.add('commits');
    counters.add('deltas_repaired', repaired);
    counters.add('deltas_committed', fresh.length);
    const arrived = arrivedInParts(batch.flatMap(({ deltas }) => deltas));
    if (arrived.length > 0) this.#host.arrived(arrived);
    const tells = this.#pace.tells(position);
    if (fresh.length > 0) this.#host.announce({ kind: 'committed', deltas: fresh, position, tells });
    counters.add('deltas_forked', outcomes.flat().filter((outcome) => outcome === 'forked').length);
    counters.add('deltas_known', outcomes.flat().filter((outcome) => outcome === 'known').length);
    for (const { link, seqs, refusals, bytes, isRepair } of answersOf(batch, outcomes)) {
      counters.add('deltas_refused', refusals.length);
      for (const { code } of refusals) counters.refused(code);
      counters.add('deltas_over_quota', refusals.filter(({ code }) => code === 'QUOTA_EXCEEDED').length);
      // What repairs the relay is a question about its root.
      const logged = fresh.filter(({ via }) => via === link.challenge).length;
      link.deliver({ kind: 'pushed', seqs, refusals, position, bytes, logged, tells: tells || isRepair });
    }
  }
}

interface PushAnswer {
  readonly link: Link;
  readonly seqs: number[];
  readonly refusals: Refusal[];
  bytes: number;
  isRepair: boolean;
}

/** One answer for each link, or several where its numbers are more than one message holds. */
function answersOf(batch: readonly Push[], outcomes: Committed['outcomes']): readonly PushAnswer[] {
  const answers: PushAnswer[] = [];
  const open = new Map<Link, PushAnswer>();
  for (const [i, push] of batch.entries()) {
    const { seqs, refusals } = sortOutcomes(push, outcomes[i] as readonly (Outcome | OverQuota)[]);
    const isRepair = push.deltas.some(({ from }) => from === 'others');
    const answer = open.get(push.link);
    if (answer !== undefined && answer.seqs.length + seqs.length <= defaultLimits.deltasPerMessageMax) {
      answer.seqs.push(...seqs);
      answer.refusals.push(...refusals);
      answer.bytes += push.bytes;
      answer.isRepair ||= isRepair;
    } else {
      const fresh = { link: push.link, seqs, refusals, bytes: push.bytes, isRepair };
      open.set(push.link, fresh);
      answers.push(fresh);
    }
  }
  return answers;
}

export function bytesOfPush({ deltas }: Pick<Push, 'deltas'>): number {
  return deltas.reduce((sum, { delta }) => sum + delta.bytes.length, 0);
}

/** [SY27] */
export function quotaRefusal(
  { replica, seq }: Pick<Delta, 'replica' | 'seq'>,
  { what, used, max }: OverQuota,
): Refusal {
  return { replica, seq, code: 'QUOTA_EXCEEDED', facts: { replica, seq, what, used, max } };
}

/** Only own deltas are acknowledged by number: a number says nothing of whose delta it is. */
function sortOutcomes(push: Push, outcomes: readonly (Outcome | OverQuota)[]): { seqs: number[]; refusals: Refusal[] } {
  const seqs: number[] = [];
  const refusals = [...push.refusals];
  for (const [i, { delta }] of push.deltas.entries()) {
    const { replica, seq } = delta;
    const isOwn = replica === push.replica;
    const outcome = outcomes[i];
    if (typeof outcome === 'object') refusals.push(quotaRefusal(delta, outcome));
    else if (outcomes[i] === 'reused') refusals.push({ replica, seq, code: 'DOT_REUSED', facts: { replica, seq } });
    // Its author seals the content again, so that a floor takes nothing from who has only just come back [FL5].
    else if (outcomes[i] === 'trashed' && isOwn)
      refusals.push({ replica, seq, code: 'UNDER_FLOOR', facts: { replica, seq } });
    else if (outcomes[i] === 'unseen') refusals.push({ replica, seq, code: 'COVERED_UNSEEN', facts: { replica, seq } });
    else if (isOwn) seqs.push(seq);
  }
  return { seqs, refusals };
}

/** Authors' own deltas and those of others are taken by different rules [CX7], in one transaction. */
function* commitBatch(
  tx: Transaction,
  room: RoomRef,
  batch: readonly Push[],
  quota: Quota,
  nowMs: number,
): Steps<Committed> {
  const outcomes = batch.map((push) => new Array<Outcome | OverQuota>(push.deltas.length));
  const fresh: CommittedDelta[] = [];
  let superseded = 0;
  let repaired = 0;
  let position: Position | undefined;
  for (const from of ['author', 'others'] as const) {
    const items = batch.flatMap((push, of) =>
      push.deltas.flatMap(({ delta, from: itsFrom }, at) =>
        itsFrom === from ? [{ delta, of, at, via: push.link.challenge }] : [],
      ),
    );
    const over = yield* siftByQuota(
      tx,
      room,
      items.map(({ delta }) => delta),
      quota,
    );
    for (const [i, { of, at }] of items.entries()) {
      const why = over[i];
      if (why !== undefined) (outcomes[of] as OverQuota[])[at] = why;
    }
    const fitting = items.filter((_, i) => over[i] === undefined);
    if (fitting.length === 0) continue;
    // Nobody here can tell whether what superseded a delta can be read, so its bytes stay for a while.
    const options: AcceptOptions = { nowMs, from, retain: () => true };
    const deltas = fitting.map(({ delta }) => delta);
    const accepted = yield* acceptAndLog(tx, room, deltas, options);
    position = accepted.position;
    superseded += accepted.removed.length + accepted.swept.length;
    for (const [i, { delta, of, at, via }] of fitting.entries()) {
      const outcome = accepted.outcomes[i] as Outcome;
      (outcomes[of] as Outcome[])[at] = outcome;
      if (outcome === 'superseded') superseded++;
      if (!isNews(outcome)) continue;
      fresh.push({ bytes: delta.bytes, via });
      if (from === 'others') repaired++;
    }
  }
  return { outcomes, fresh, superseded, repaired, position: position ?? (yield* readPosition(tx)) };
}
