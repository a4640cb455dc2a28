import { bytesToHex } from '../bytes.js';
import { deriveRoomId, type KeyName, type RoomConfig } from '../ids.js';
import { defaultLimits, type Limits } from '../limits.js';
import { readRoot } from '../merkle/trie.js';
import { runPlan } from '../store/plan.js';
import { isStub } from '../stub.js';
import type { LinkConfig } from '../sync/state.js';
import type { Cast } from './cast.js';
import { cheapCrypto, type WorldCrypto } from './crypto.js';
import { describeWorld, SimulationFailure } from './failure.js';
import { planFaults, strike } from './faults.js';
import { Ledger } from './ledger.js';
import { EventLoop } from './loop.js';
import { Connection, type Side, type Wires } from './network.js';
import { Oracles } from './oracles.js';
import { assertFault, assertOptions, defaultOptions, type FaultKind, type WorldOptions } from './options.js';
import { Random } from './random.js';
import { honestRelay } from './relay-effects.js';
import { RelayLink, SimRelay } from './relay.js';
import { honestReplica } from './replica-effects.js';
import { SimReplica } from './replica.js';
import { Trace } from './trace.js';
import { makeKeys, planEdits } from './workload.js';

const EPOCH_MS = 1_750_000_000_000;
/** Longer than any stamp may be ahead, as a world with wrong clocks waits for its time. */
const DRAIN_MS_MAX = 30 * 60_000;
const DRAIN_EVENTS_MAX = 400_000;
const DRAIN_LOOK_MS = 200;
/** A world's days are short. */
const CHECKPOINT_STEP_MS = 100;
const PENDING_MAX = 100_000;
/** Longer than anything lingers on a wire. */
const STILL_MS = 5_000;
/** There and back, and what a relay waits before it tells where it stands. */
const LINGER_MS = 2_500;
/** More than there are keys to collect, one at a time. */
const FLOOR_ROUNDS_MAX = 20;
const BUSY_WORDS = ['sent push', 'sent deltas', 'sent diff', 'sent pull'];

/** Replicas, relays and the wires between them, in virtual time, all of it drawn from one seed. */
export class World implements Cast {
  readonly options: WorldOptions;
  readonly random: Random;
  readonly loop = new EventLoop();
  readonly trace = new Trace();
  readonly ledger: Ledger;
  readonly config: LinkConfig;
  readonly crypto: WorldCrypto;
  readonly replicas: SimReplica[];
  readonly relays: readonly SimRelay[];
  readonly keys: readonly KeyName[];
  readonly counts = new Map<string, number>();
  /** In a world that is not watched. */
  readonly alarms: string[] = [];
  isHealing = false;
  readonly #oracles: Oracles;
  readonly #wires: Wires;
  readonly #blocked = new Map<string, number>();
  readonly #slowed = new Map<string, number>();
  #steps = 0;

  constructor(options: WorldOptions, crypto: WorldCrypto = cheapCrypto) {
    this.crypto = crypto;
    this.options = options;
    this.random = new Random(options.seed);
    this.ledger = new Ledger(options.isWatched);
    const limits = { ...defaultLimits, ...limitsOf(options), checkpointStepMs: CHECKPOINT_STEP_MS };
    const { history } = options;
    const roomConfig: RoomConfig = { history, encrypted: false };
    const roomId = deriveRoomId(crypto.hash, `world ${options.seed}`, roomConfig);
    this.config = { room: { hash: crypto.hash, roomId, history }, roomConfig, limits };
    this.#wires = this.#makeWires();
    this.relays = Array.from({ length: options.relayCount }, (_, i) => new SimRelay(this, i, honestRelay));
    this.replicas = Array.from({ length: options.replicaCount }, (_, i) => new SimReplica(this, i, honestReplica));
    this.keys = makeKeys(options);
    this.#oracles = new Oracles(this);
    for (const replica of this.replicas) {
      replica.skewMs = this.random.between(-options.clockSkewMsMax, options.clockSkewMsMax);
      replica.relay = this.random.between(0, options.relayCount - 1);
      replica.start();
    }
    for (const relay of this.relays)
      relay.skewMs = this.random.between(-options.relaySkewMsMax, options.relaySkewMsMax);
    planEdits(this);
    planFaults(this);
  }

  get room(): LinkConfig['room'] {
    return this.config.room;
  }

  /** What a right clock shows. */
  get wallMs(): number {
    return EPOCH_MS + Math.floor(this.loop.nowMs);
  }

  /** Lets the world go on for some events, with the oracles looking in between. */
  run({ steps }: { readonly steps: number }): void {
    this.guard(() => {
      for (let i = 0; i < steps && this.#step(); i++);
    });
  }

  /** Lets the world go on for some virtual time. */
  runFor(ms: number): void {
    this.guard(() => {
      this.#pass(this.loop.nowMs + ms);
    });
  }

  /** Ends all faults, lets everything arrive, and looks at what came of it. Throws `SimulationFailure`. */
  healAndDrain(): void {
    this.guard(() => {
      this.isHealing = true;
      this.#blocked.clear();
      this.#slowed.clear();
      for (const relay of this.relays) {
        relay.skewMs = 0;
        relay.withheld = undefined;
        relay.unfork();
        if (!relay.isUp) relay.start();
        relay.scrub();
      }
      for (const replica of this.replicas) {
        replica.skewMs = 0;
        if (!replica.isUp && !replica.isDead) replica.start();
        replica.scrub();
      }
      // What lingers on broken connections arrives, or is gone.
      this.#pass(this.loop.nowMs + STILL_MS);
      this.#drain();
      this.#keepStill();
      // What was lost and has been covered since leaves a dot, which the next scrub takes.
      for (const node of [...this.relays, ...this.replicas]) node.scrub();
      if (this.options.isWatched) this.#oracles.lookAtEnd();
    });
  }

  merkleRoots(): readonly string[] {
    const tables = [
      ...this.replicas.filter(({ isDead }) => !isDead).map(({ disk }) => disk.tables),
      ...this.relays.map(({ tables }) => tables),
    ];
    return tables.map((one) => bytesToHex(runPlan(readRoot, (read) => one.read(read)).result.root));
  }

  connect(index: number): Connection | undefined {
    const replica = this.replicas[index] as SimReplica;
    const face = this.relays[replica.relay] as SimRelay;
    const relay = index % 2 === 1 && face.twin !== undefined ? face.twin : face;
    const nowMs = this.loop.nowMs;
    const isBlocked = (['replica', 'relay'] as const).some(
      (side) => this.#wires.blockedUntilMs(replica.index, side) > nowMs,
    );
    if (!relay.isUp || isBlocked) return undefined;
    let link: RelayLink | undefined;
    const connection: Connection = new Connection(this.#wires, replica.index, {
      replica: {
        message: (message) => {
          if (replica.connection === connection) replica.receive({ kind: 'message', message, nowMs: replica.nowMs() });
        },
        malformed: () => {
          if (replica.connection === connection) replica.disconnect();
        },
        closed: () => {
          if (replica.connection === connection) replica.closed();
        },
      },
      relay: {
        message: (message) => link?.message(message),
        malformed: (error) => link?.malformed(error),
        closed: () => link?.closed(),
      },
    });
    replica.later(this.random.between(0, this.options.latencyMsMax), () => {
      if (replica.connection !== connection) return;
      if (relay.isUp && !connection.isBroken) {
        replica.opened();
        link = new RelayLink(relay, connection);
      } else replica.disconnect();
    });
    return connection;
  }

  /** Another device starts with a copy of a replica's disk, key included. */
  copyProfile(index: number): SimReplica {
    this.ledger.copied(index, (this.replicas[index] as SimReplica).id);
    const copy = new SimReplica(this, this.replicas.length, honestReplica, this.replicas[index]);
    copy.relay = this.replicas[index]?.relay ?? 0;
    this.replicas.push(copy);
    copy.start();
    return copy;
  }

  /** Lets a fault befall this world now, whichever it draws at random. Throws `OPTION_INVALID` for a fault that there is not. */
  strike(fault: FaultKind): void {
    assertFault('fault', fault);
    strike(this, fault);
  }

  /** A direction of a replica's connections stalls until then. */
  block(replica: number, side: Side, untilMs: number): void {
    this.#blocked.set(`${replica} ${side}`, untilMs);
  }

  /** A side of a replica's connections reads slowly until then. */
  slow(replica: number, side: Side, untilMs: number): void {
    this.#slowed.set(`${replica} ${side}`, untilMs);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  alarm(what: string): void {
    // Where bits flip or a profile was copied, somebody misbehaves without meaning to.
    const isCopied = this.replicas.length > this.options.replicaCount;
    if (this.options.isWatched && this.options.flipRatio === 0 && !isCopied) throw new Error(what);
    this.alarms.push(what);
  }

  /** Runs something of this world; what it throws names the seed. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      throw error instanceof SimulationFailure ? error : new SimulationFailure(this, error);
    }
  }

  #step(): boolean {
    if (!this.loop.step()) return false;
    this.#steps++;
    if (this.loop.size > PENDING_MAX) throw new Error(`${this.loop.size} things are on the way`);
    if (this.options.isWatched) this.#oracles.look();
    return true;
  }

  #pass(untilMs: number): void {
    while ((this.loop.nextMs ?? Number.POSITIVE_INFINITY) <= untilMs) this.#step();
    this.loop.passTo(untilMs);
  }

  #drain(): void {
    const endMs = this.loop.nowMs + DRAIN_MS_MAX;
    const lastStep = this.#steps + DRAIN_EVENTS_MAX;
    while (!this.#hasConverged()) {
      this.#pass(this.loop.nowMs + DRAIN_LOOK_MS);
      if (this.relays.length > 1)
        for (const replica of this.replicas)
          if (replica.isSettled && !this.#areEqual() && this.random.chance(0.1)) replica.switchRelay();
      if (this.loop.nowMs > endMs || this.#steps > lastStep) throw new Error(`no convergence: ${describeWorld(this)}`);
    }
  }

  /** Equal worlds have nothing to say to each other. */
  #keepStill(): void {
    for (let rounds = 0; ; rounds++) {
      // A push that was not needed any more may be on its way, and what it is answered with.
      this.#pass(this.loop.nowMs + LINGER_MS);
      this.#drain();
      const floors = this.ledger.floors.size;
      const before = BUSY_WORDS.map((word) => this.counts.get(word) ?? 0);
      this.#pass(this.loop.nowMs + STILL_MS);
      const after = BUSY_WORDS.map((word) => this.counts.get(word) ?? 0);
      if (String(before) === String(after) && this.#hasConverged()) return;
      // Once roots are equal everybody says so, and then floors are due [FL8]: they end when there is nothing more to collect.
      if (this.ledger.floors.size === floors || rounds === FLOOR_ROUNDS_MAX)
        throw new Error(`in sync and not silent: ${BUSY_WORDS} went from ${before} to ${after}`);
    }
  }

  #hasConverged(): boolean {
    const living = this.replicas.filter(({ isDead }) => !isDead);
    const isQuiet = this.relays.every((relay) => relay.isSilent);
    return isQuiet && living.every((replica) => replica.isSettled && replica.isSilent) && this.#areEqual();
  }

  #areEqual(): boolean {
    return new Set(this.merkleRoots()).size === 1;
  }

  #makeWires(): Wires {
    const { latencyMsMax } = this.options;
    // A buffer below what is under way within the latency lets go of every reader, however fast: a fault, which ends.
    const { sendBufferBytesMax } = defaultOptions;
    const calm = { dropRatio: 0, duplicateRatio: 0, reorder: false, flipRatio: 0, latencyMsMax, sendBufferBytesMax };
    return {
      loop: this.loop,
      random: this.random.fork(),
      trace: this.trace,
      limits: this.config.limits,
      options: () => (this.isHealing ? calm : this.options),
      blockedUntilMs: (replica, side) => this.#blocked.get(`${replica} ${side}`) ?? 0,
      isSlow: (replica, side) => (this.#slowed.get(`${replica} ${side}`) ?? 0) > this.loop.nowMs,
      count: (what) => this.count(what),
      sent: (message) => {
        this.count(`sent ${message.kind}`);
        if (message.kind === 'push') this.count('sent stubs', message.deltas.filter(isStub).length);
      },
    };
  }
}

function limitsOf(options: WorldOptions): Partial<Limits> {
  const { frameBytesMax, windowBytes, checkpointTailBytesMin, headRestMs, retainSupersededMs } = options;
  const { floorTombstonesMin, floorContextEntriesMin, floorCollectMax, replicaExpiryMs, trashMs } = options;
  const floors = { floorTombstonesMin, floorContextEntriesMin, floorCollectMax, replicaExpiryMs, trashMs };
  return { frameBytesMax, windowBytes, checkpointTailBytesMin, headRestMs, retainSupersededMs, ...floors };
}

/** `crypto`: the defaults are fast and secure nothing, which a world needs. Throws `OPTION_INVALID`. */
export function createWorld(options: Partial<WorldOptions> & { readonly seed: number }, crypto?: WorldCrypto): World {
  assertOptions(options);
  return new World({ ...defaultOptions, ...options }, crypto);
}
