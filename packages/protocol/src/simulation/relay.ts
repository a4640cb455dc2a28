import { isDamage } from '../store/healing-store.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import { acceptAndLog, type Position, readPosition } from '../room/log.js';
import { hasFound } from '../room/scrub.js';
import { cleanRoom } from '../room/clean.js';
import type { Refusal, RelayEvent } from '../sync/event.js';
import type { PushedDelta, RelayEffect } from '../sync/effect.js';
import { bytesToStub, isStub } from '../stub.js';
import { bytesOf } from '../sync/flow.js';
import { ShownKeys } from '../sync/shown-keys.js';
import { greeting, type RelayState } from '../sync/state.js';
import { stepSync } from '../sync/step.js';
import { arrivedInParts } from '../sync/relay-push.js';
import type { HeadStatement } from '../head-statement.js';
import { headMessages } from '../sync/chunk.js';
import { HeadPace } from '../sync/head-pace.js';
import { PositionPace } from '../sync/position-pace.js';
import { bytesToDelta, type Delta, type DeltaHeader } from '../delta.js';
import { type ErrorCode, errorToFacts, type MangroveError } from '../errors.js';
import { defaultLimits } from '../limits.js';
import type { ReplicaId } from '../ids.js';
import type { DeltaBytes, Message, ReplicaMessage } from '../wire/messages.js';
import { copyTables, scrubWhole } from './damage.js';
import { drawHabits, Executor } from './executor.js';
import type { Connection } from './network.js';
import { commitBatch } from './relay-commit.js';
import type { Random } from './random.js';
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
    const { outcomes, fresh, position } = this.transact((tx) => commitBatch(tx, world.room, batch, this.nowMs()));
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
        else if (outcome === 'unseen') refused.push({ replica, seq, code: 'COVERED_UNSEEN', facts: {} });
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

/** One connection at a relay. */
export class RelayLink {
  /** In the order in which connections were opened. */
  readonly number: number;
  readonly relay: SimRelay;
  readonly connection: Connection;
  readonly shown = new ShownKeys(defaultLimits.shownKeysMax);
  readonly executor: Executor<RelayEvent, RelayEffect>;
  state: RelayState;

  constructor(relay: SimRelay, connection: Connection) {
    const { world, random } = relay;
    this.relay = relay;
    this.number = relay.countLink();
    this.connection = connection;
    this.state = greeting(world.config, {
      relayKey: relay.publicKey,
      storeId: relay.storeId,
      challenge: random.bytes(32),
    });
    this.executor = new Executor<RelayEvent, RelayEffect>(
      { step: (event) => this.#step(event), run: (effect, done) => relay.conduct(this, effect, done) },
      drawHabits(random),
    );
    relay.links.add(this);
    this.executor.receive({ kind: 'opened' });
  }

  get replica(): ReplicaId | undefined {
    return 'replica' in this.state ? this.state.replica : undefined;
  }

  message(message: ReplicaMessage): void {
    this.executor.receive({ kind: 'message', message, nowMs: this.relay.nowMs() });
  }

  malformed(error: MangroveError): void {
    const { code, facts } = errorToFacts(error);
    this.executor.receive({ kind: 'malformed', code, facts: facts as Readonly<Record<string, string | number>> });
  }

  send(message: Message): void {
    const { tampers, withheld, world } = this.relay;
    if (message.kind === 'deltas' && withheld?.from === this.replica) {
      const { hash, roomId } = world.room;
      const isShown = (bytes: DeltaBytes) =>
        (isStub(bytes) ? bytesToStub(hash, roomId, bytes) : bytesToDelta(hash, roomId, bytes)).replica !==
        withheld?.author;
      const deltas = message.deltas.filter(isShown);
      this.connection.send('replica', { ...message, deltas });
      // It knows what it has not sent, so that does not count against its credit.
      const bytes = bytesOf(message.deltas) - bytesOf(deltas);
      if (bytes > 0)
        this.executor.receive({ kind: 'message', message: { kind: 'credit', bytes }, nowMs: this.relay.nowMs() });
      return;
    }
    const said = tampers === undefined ? message : tampers(message, this.replica);
    if (said !== undefined) this.connection.send('replica', said);
  }

  /** The replica's side has ended it. */
  closed(): void {
    this.executor.stop();
    this.relay.links.delete(this);
    const { replica } = this;
    if (replica !== undefined)
      this.relay.announce({ kind: 'forward', message: { kind: 'peer', replica, present: false } });
  }

  /** This side ends it, after what it has said. */
  finish(): void {
    this.connection.closeAfterSent();
    this.executor.stop();
    this.relay.links.delete(this);
  }

  /** The process stops, or has to. */
  end(): void {
    this.connection.closeBy('relay');
    this.executor.stop();
    this.relay.links.delete(this);
  }

  #step(event: RelayEvent): readonly RelayEffect[] {
    const { state, effects } = stepSync(this.state, event);
    this.state = state;
    this.relay.world.trace.add('relay', this.relay.index, event.kind, state.kind);
    return effects;
  }
}
