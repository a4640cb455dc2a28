import { isDamage } from '../store/healing-store.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan, Steps, Transaction } from '../store/plan.js';
import { acceptAndLog, type Position, readPosition } from '../room/log.js';
import type { Outcome } from '../room/accept.js';
import { hasFound } from '../room/scrub.js';
import { cleanRoom } from '../room/clean.js';
import type { CommittedDelta, Refusal, RelayEvent } from '../sync/event.js';
import type { PushedDelta, RelayEffect } from '../sync/effect.js';
import { arrivedInParts } from '../sync/relay-push.js';
import type { HeadStatement } from '../head-statement.js';
import { headMessages } from '../sync/chunk.js';
import { HeadPace } from '../sync/head-pace.js';
import { PositionPace } from '../sync/position-pace.js';
import type { Delta, DeltaHeader } from '../delta.js';
import type { ErrorCode } from '../errors.js';
import { defaultLimits } from '../limits.js';
import type { ReplicaId } from '../ids.js';
import type { Message } from '../wire/messages.js';
import { copyTables, scrubWhole } from './damage.js';
import type { Random } from './random.js';
import type { RelayLink } from './relay-link.js';
import type { Scene } from './scene.js';

interface Waiting {
  readonly link: RelayLink;
  readonly deltas: readonly PushedDelta[];
  readonly refusals: readonly Refusal[];
  readonly bytes: number;
  readonly done: (answer?: RelayEvent) => void;
}

/** How a relay does what the step function asks of one of its links. */
export type RelayConduct = (link: RelayLink, effect: RelayEffect, done: (answer?: RelayEvent) => void) => void;

const QUEUE_MAX = 2_000;
const CLEAN_ROWS_MAX = 1_000;

/** A relay's room: durable tables, a group commit, and one link for each connection. */
export class SimRelay {
  readonly index: number;
  readonly world: Scene;
  readonly random: Random;
  readonly conduct: RelayConduct;
  publicKey: Uint8Array;
  storeId: Uint8Array;
  tables = new MemoryTables();
  skewMs = 0;
  isUp = true;
  readonly links = new Set<RelayLink>();
  /** What an operator might restore from. */
  copy: MemoryTables | undefined;
  /** The same relay as it shows itself to some: from the same past, with another history. */
  twin: SimRelay | undefined;
  /** Whose deltas it keeps from whom. */
  withheld: { readonly author: ReplicaId; readonly from: ReplicaId } | undefined;
  /** For tests: what this relay will not take, and what it makes of what it says. */
  refuses: ((header: DeltaHeader) => ErrorCode | undefined) | undefined;
  tampers: ((message: Message, to: ReplicaId | undefined) => Message | undefined) | undefined;
  #pace = this.#newPace();
  #headPace: HeadPace;
  /** The connection of each replica that may write [SY24]. */
  readonly #writers = new Map<ReplicaId, RelayLink>();
  #queue: Waiting[] = [];
  #isCommitting = false;
  #life = 0;
  #linkCount = 0;

  constructor(world: Scene, index: number, conduct: RelayConduct) {
    this.world = world;
    this.conduct = conduct;
    this.index = index;
    this.random = world.random.fork();
    this.publicKey = world.crypto.newKey(this.random);
    this.storeId = this.random.bytes(8);
    this.#headPace = this.#newHeadPace();
  }

  nowMs(): number {
    return this.world.wallMs + this.skewMs;
  }

  transact<Result>(plan: Plan<Result>): Result {
    try {
      return this.tables.transact(plan).result;
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    this.world.count('plans that stumbled at a relay');
    this.scrub();
    // What was told of the vector might be believed before anybody could say that it is not so any more.
    for (const link of [...this.links]) link.end();
    return this.tables.transact(plan).result;
  }

  /** [AE1] What it finds changes the root, and everybody is told. */
  scrub(): void {
    const { tables, world } = this;
    const findings = scrubWhole(tables, world.room, (plan) => tables.transact(plan).result);
    world.count('holes found at relays', findings.holes);
    if (!hasFound(findings)) return;
    this.announce({ kind: 'committed', deltas: [], position: tables.transact(readPosition).result, tells: true });
  }

  later(delayMs: number, run: () => void): void {
    const life = this.#life;
    this.world.loop.after(delayMs, () => {
      if (this.isUp && life === this.#life) run();
    });
  }

  /** Pushes wait for the commit that is under way and then share the next one. */
  push(waiting: Waiting): void {
    this.#queue.push(waiting);
    if (this.#queue.length > QUEUE_MAX) throw new Error(`${this.#queue.length} pushes wait at relay ${this.index}`);
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    this.later(this.random.between(0, 10), () => this.#commit());
  }

  /**
   * [SY24] Whether this connection of the replica was opened last. From now on nothing is taken that came over an earlier one, also where it
   * has ended.
   */
  displace(replica: ReplicaId, by: RelayLink): boolean {
    const writer = this.#writers.get(replica);
    if (writer !== undefined && writer.number > by.number) return false;
    this.#writers.set(replica, by);
    writer?.executor.stepNow({ kind: 'displaced', replica });
    return true;
  }

  #commit(): void {
    const writers = new Set(this.#writers.values());
    const batch = this.#queue.filter(({ link }) => writers.has(link));
    for (const { link, done } of this.#queue) if (!writers.has(link)) done();
    this.#queue = [];
    this.#isCommitting = false;
    const { world } = this;
    const { outcomes, fresh, position } = this.transact((tx) => commitBatch(tx, this, batch));
    this.transact((tx) => cleanRoom(tx, this.nowMs(), world.config.limits, CLEAN_ROWS_MAX));
    for (const { deltas } of batch) for (const { delta } of deltas) world.ledger.taken(delta.id);
    const arrived = arrivedInParts(batch.flatMap(({ deltas }) => deltas));
    world.trace.add('commit', this.index, position.offset, fresh.length);
    // What is new goes to everybody before the acknowledgement, whose position says that it has come [SY6].
    if (arrived.length > 0) this.announce({ kind: 'arrived', trieKeys: arrived });
    const tells = this.#pace.tells(position);
    if (fresh.length > 0) this.announce({ kind: 'committed', deltas: fresh, position, tells });
    for (const [i, { link, deltas, refusals, bytes, done }] of batch.entries()) {
      const seqs: number[] = [];
      const refused = [...refusals];
      for (const [j, { delta }] of deltas.entries()) {
        const { replica, seq } = delta;
        const outcome = outcomes[i]?.[j];
        if (outcome === 'reused') refused.push({ replica, seq, code: 'DOT_REUSED', facts: {} });
        else if (outcome === 'trashed' && replica === link.replica)
          refused.push({ replica, seq, code: 'UNDER_FLOOR', facts: {} });
        else if (replica === link.replica) seqs.push(seq);
      }
      const isRepair = deltas.some(({ from }) => from === 'others');
      const logged = fresh.filter(({ via }) => via === link.state.challenge).length;
      done({ kind: 'pushed', seqs, refusals: refused, position, bytes, logged, tells: tells || isRepair });
    }
  }

  /** Everybody was told where it stands. */
  get isSilent(): boolean {
    return !this.#pace.isWaiting;
  }

  #newPace(): PositionPace {
    const due = (position: Position) => this.announce({ kind: 'position-due', position });
    const host = {
      nowMs: () => this.nowMs(),
      later: (delayMs: number, run: () => void) => this.later(delayMs, run),
      due,
    };
    return new PositionPace(host, defaultLimits);
  }

  /** [SY23] A statement has taken the place of the one before it. */
  keptHead(statement: HeadStatement, before: HeadStatement | undefined): void {
    this.#headPace.kept(statement, before);
  }

  #newHeadPace(): HeadPace {
    const { links } = this;
    const host = {
      get connected() {
        return links.size;
      },
      later: (delayMs: number, run: () => void) => this.later(delayMs, run),
      tell: (of: (replica: ReplicaId) => readonly HeadStatement[]) => {
        for (const link of links)
          for (const message of link.replica === undefined ? [] : headMessages(of(link.replica)))
            link.executor.stepNow({ kind: 'forward', message });
      },
    };
    return new HeadPace(host, this.world.config.limits);
  }

  /** Takes a delta past every check, as a relay could. */
  inject(delta: Delta): void {
    const options = { nowMs: this.nowMs(), from: 'others', retain: () => true } as const;
    const { position } = this.transact((tx) => acceptAndLog(tx, this.world.room, [delta], options));
    this.announce({ kind: 'committed', deltas: [{ bytes: delta.bytes, via: undefined }], position, tells: true });
  }

  countLink(): number {
    return ++this.#linkCount;
  }

  /** To every link, at once: their order is the order of the store's transactions. */
  announce(event: RelayEvent, except?: RelayLink): void {
    for (const link of this.links) if (link !== except) link.executor.stepNow(event);
  }

  /** The process stops; what was committed stays. */
  stop(): void {
    this.isUp = false;
    this.#life++;
    this.#writers.clear();
    this.#queue = [];
    this.#isCommitting = false;
    this.#pace = this.#newPace();
    this.#headPace = this.#newHeadPace();
    for (const link of [...this.links]) link.end();
  }

  start(): void {
    this.isUp = true;
  }

  /** An operator's copy, taken now and perhaps put back later. */
  takeCopy(): void {
    this.copy = copyTables(this.tables);
  }

  /** The same store id, an older disk [SY2]. */
  restore(): void {
    if (this.copy !== undefined) this.tables = copyTables(this.copy);
  }

  /** From now on two histories grow, each shown to half of the replicas. */
  fork(): void {
    const twin = new SimRelay(this.world, this.index, this.conduct);
    twin.publicKey = this.publicKey;
    twin.storeId = this.storeId;
    twin.skewMs = this.skewMs;
    twin.tables = copyTables(this.tables);
    this.twin = twin;
  }

  /** One history is left; what was only in the other is nowhere but at those who wrote and read it. */
  unfork(): void {
    this.twin?.stop();
    this.twin = undefined;
  }

  /** An empty disk, which calls itself by another name; half of the time the relay's key is lost too. */
  wipe(): void {
    this.tables = new MemoryTables();
    this.storeId = this.random.bytes(8);
    if (this.random.chance(0.5)) this.publicKey = this.world.crypto.newKey(this.random);
  }
}

interface Committed {
  readonly outcomes: readonly (readonly Outcome[])[];
  readonly fresh: readonly CommittedDelta[];
  readonly position: Position;
}

/** Authors' own deltas and those of others are taken by different rules [CX7], in one transaction. */
function* commitBatch(tx: Transaction, relay: SimRelay, batch: readonly Waiting[]): Steps<Committed> {
  const outcomes: Outcome[][] = batch.map(() => []);
  const fresh: CommittedDelta[] = [];
  for (const from of ['author', 'others'] as const) {
    const items = batch.flatMap(({ link, deltas }, of) =>
      deltas.flatMap((pushed, at) =>
        pushed.from === from ? [{ delta: pushed.delta, of, at, via: link.state.challenge }] : [],
      ),
    );
    if (items.length === 0) continue;
    const deltas = items.map(({ delta }) => delta);
    const options = { nowMs: relay.nowMs(), from, retain: () => true };
    const accepted = yield* acceptAndLog(tx, relay.world.room, deltas, options);
    for (const [i, { delta, of, at, via }] of items.entries()) {
      const outcome = accepted.outcomes[i] as Outcome;
      (outcomes[of] as Outcome[])[at] = outcome;
      if (outcome !== 'known' && outcome !== 'reused' && outcome !== 'trashed') fresh.push({ bytes: delta.bytes, via });
    }
  }
  return { outcomes, fresh, position: yield* readPosition(tx) };
}
