import { type Delta, FLAG, hasFlag } from '../delta.js';
import { deriveReplicaId, type KeyName, type ReplicaId } from '../ids.js';
import { readRoot } from '../merkle/trie.js';
import { takeIdentity } from '../room/identity.js';
import { countOutbox } from '../room/receive.js';
import { hasFound } from '../room/scrub.js';
import type { Steps, Transaction } from '../store/plan.js';
import { StubCache } from '../stub-cache.js';
import type { ReplicaEffect } from '../sync/effect.js';
import type { ReplicaEvent, Standing } from '../sync/event.js';
import { offline, type ReplicaState } from '../sync/state.js';
import { stepSync } from '../sync/step.js';
import type { DeltaBytes, Message } from '../wire/messages.js';
import { Collector } from './collector.js';
import { Compactor } from './compactor.js';
import { Desk, type DeskHost } from './desk.js';
import { Disk } from './disk.js';
import { drawHabits, Executor } from './executor.js';
import { copyTables, scrubWhole } from './damage.js';
import type { WriteKind } from './ledger.js';
import type { Connection } from './network.js';
import type { Random } from './random.js';
import type { Scene } from './scene.js';

/** How a replica does what the step function asks of it. */
export interface ReplicaConduct {
  run(replica: SimReplica, effect: ReplicaEffect, done: (answer?: ReplicaEvent) => void): void;
  /** Roots are equal. */
  settled(replica: SimReplica): void;
}

/** One device: its disk, its clock, and the link it keeps to a relay. */
export class SimReplica implements DeskHost {
  readonly world: Scene;
  readonly index: number;
  readonly random: Random;
  publicKey: Uint8Array;
  id: ReplicaId;
  readonly disk: Disk;
  readonly desk: Desk;
  readonly compactor: Compactor;
  readonly collector: Collector;
  skewMs = 0;
  /** The relay it connects to. */
  relay = 0;
  isUp = false;
  isDead = false;
  state: ReplicaState;
  publishedRoot: string | undefined;
  /** The highest own seq that a relay has said to know since the process has started. */
  takenSeq = 0;
  isPublishing = false;
  stubs = new StubCache();
  readonly #conduct: ReplicaConduct;
  #connection: Connection | undefined;
  #executor: Executor<ReplicaEvent, ReplicaEffect> | undefined;
  /** Rises with every start, so that what was planned before a crash does not happen after it. */
  #life = 0;
  #wantsOnline = true;

  /** `profile`: the device this one is a copy of. */
  constructor(world: Scene, index: number, conduct: ReplicaConduct, profile?: SimReplica) {
    this.world = world;
    this.index = index;
    this.#conduct = conduct;
    this.random = world.random.fork();
    this.publicKey = profile?.publicKey ?? world.crypto.newKey(this.random);
    this.id = deriveReplicaId(world.room.hash, world.room.roomId, this.publicKey);
    this.disk = new Disk(profile && copyTables(profile.disk.tables));
    this.disk.heal = () => this.scrub();
    this.state = offline(world.config, this.id);
    this.desk = new Desk(this);
    this.compactor = new Compactor(this);
    this.collector = new Collector(this);
    if (profile === undefined) this.#takeIdentity();
    else this.desk.copyFrom(profile.desk);
  }

  nowMs(): number {
    return this.world.wallMs + this.skewMs;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  get durability(): 'strict' | 'relaxed' {
    return this.world.options.disk === 'strict' ? 'strict' : 'relaxed';
  }

  get isInSession(): boolean {
    return 'rights' in this.state;
  }

  get isSettled(): boolean {
    return this.state.kind === 'live' && this.state.settled;
  }

  /** Nothing of it waits to be sealed, sent or acknowledged. */
  get isSilent(): boolean {
    return this.desk.size === 0 && this.standing().outbox === 0 && this.compactor.isIdle && this.collector.isIdle;
  }

  start(): void {
    this.isUp = true;
    this.#life++;
    this.state = offline(this.world.config, this.id);
    this.isPublishing = false;
    this.stubs = new StubCache();
    this.desk.own();
    this.compactor.restart();
    this.collector.restart();
    this.#every(400, 900, () => this.#check());
    if (this.world.options.disk === 'barriers') this.#every(50, 400, () => this.#barrier());
    this.later(this.random.between(0, 50), () => this.#connect());
  }

  /** Runs later, unless the process has stopped by then. */
  later(delayMs: number, run: () => void): void {
    const life = this.#life;
    this.world.loop.after(delayMs, () => {
      if (this.isUp && life === this.#life) run();
    });
  }

  edit(name: KeyName, kind: WriteKind, bulkBytes = 0): number {
    const id = this.desk.edit(name, kind, bulkBytes);
    this.later(this.random.between(0, 60), () => this.desk.seal());
    return id;
  }

  /** Own deltas that are behind a barrier go out. */
  sealed(deltas: readonly Pick<Delta, 'bytes' | 'keyId' | 'flags' | 'seq'>[]): void {
    const edits = deltas.filter((delta) => !hasFlag(delta, FLAG.checkpoint | FLAG.floor));
    this.compactor.added(edits.map(({ keyId }) => keyId));
    const fromSeq = deltas[0]?.seq ?? 1;
    this.#executor?.happen({ kind: 'sealed', deltas: deltas.map((delta) => delta.bytes), fromSeq });
  }

  send(message: Message): void {
    this.#connection?.send('relay', message);
  }

  /** Deltas of anybody, past the own bookkeeping: for tests with members who do not behave. */
  push(deltas: readonly DeltaBytes[]): void {
    this.send({ kind: 'push', repair: true, deltas });
  }

  receive(event: ReplicaEvent): void {
    this.#executor?.receive(event);
  }

  /** [AE1] What it finds changes the own root, which is compared at once. */
  scrub(): void {
    const { disk, world } = this;
    const findings = scrubWhole(disk.tables, world.room, (plan) => disk.write(plan, 'strict'));
    this.desk.noteDurable();
    world.count('holes found at replicas', findings.holes);
    if (hasFound(findings)) this.later(0, () => this.#check());
  }

  standing(): Standing {
    return this.disk.read(readStanding);
  }

  /** The two ends exist: the link begins. */
  opened(): void {
    const host = {
      step: (event: ReplicaEvent) => this.#step(event),
      run: (effect: ReplicaEffect, done: (answer?: ReplicaEvent) => void) => this.#conduct.run(this, effect, done),
    };
    this.#executor = new Executor<ReplicaEvent, ReplicaEffect>(host, drawHabits(this.random));
    this.#executor.receive({ kind: 'opened' });
  }

  /** The connection has ended, or is being ended. */
  closed(): void {
    this.#executor?.stop();
    this.#executor = undefined;
    this.#connection = undefined;
    this.state = stepSync(this.state, { kind: 'closed' }).state;
    this.later(this.random.between(20, 800), () => this.#connect());
  }

  disconnect(): void {
    if (this.#connection === undefined) return;
    this.#connection.closeBy('replica');
    this.closed();
  }

  goOffline(): void {
    this.#wantsOnline = false;
    this.disconnect();
  }

  goOnline(): void {
    this.#wantsOnline = true;
    this.#connect();
  }

  /** A new page: what a refused link would not do again. */
  reload(): void {
    if (this.state.kind !== 'refused') return;
    this.disconnect();
    this.state = offline(this.world.config, this.id);
    this.#connect();
  }

  /** Goes on at the next relay. */
  switchRelay(): void {
    this.relay = (this.relay + 1) % this.world.options.relayCount;
    this.disconnect();
  }

  /** A power cut: what is not behind a barrier is gone, up to where luck has it. */
  crash(): void {
    this.disconnect();
    this.isUp = false;
    this.takenSeq = 0;
    this.disk.cutPower(this.random.fraction());
    this.desk.noteLosses();
  }

  /** A copy of this profile has used our dots: go on as another replica, and seal again what was unsent [CX7]. */
  renew(): void {
    this.world.count('identities renewed');
    this.disconnect();
    this.desk.withdrawAll();
    this.publicKey = this.world.crypto.newKey(this.random);
    this.#takeIdentity();
    this.desk.own();
  }

  #takeIdentity(): void {
    const { room, config } = this.world;
    this.id = deriveReplicaId(room.hash, room.roomId, this.publicKey);
    this.takenSeq = 0;
    this.state = offline(config, this.id);
    this.disk.write((tx) => takeIdentity(tx, room, this.id), 'strict');
  }

  /** Another tab becomes the owner in the middle of a seal. */
  takeover(): void {
    this.desk.seal();
    this.later(this.random.between(0, 10), () => {
      this.desk.own();
      this.desk.seal();
    });
  }

  #connect(): void {
    if (this.#connection !== undefined || !this.#wantsOnline || !this.isUp) return;
    this.#connection = this.world.connect(this.index);
    if (this.#connection === undefined) this.later(this.random.between(50, 600), () => this.#connect());
  }

  #check(): void {
    if (this.isInSession) this.#executor?.happen({ kind: 'check', standing: this.standing(), nowMs: this.nowMs() });
  }

  #barrier(): void {
    this.disk.barrier();
    this.desk.noteDurable();
  }

  #every(msMin: number, msMax: number, run: () => void): void {
    this.later(this.random.between(msMin, msMax), () => {
      run();
      this.#every(msMin, msMax, run);
    });
  }

  #step(event: ReplicaEvent): readonly ReplicaEffect[] {
    const before = this.state.kind;
    const { state, effects } = stepSync(this.state, event);
    this.state = state;
    this.world.trace.add('replica', this.index, event.kind, state.kind);
    // Now there is someone to send to.
    if (before === 'greeting' && this.isInSession) this.later(0, () => this.desk.seal());
    if (this.isSettled) this.#conduct.settled(this);
    return effects;
  }
}

function* readStanding(tx: Transaction): Steps<Standing> {
  return { root: (yield* readRoot(tx)).root, outbox: yield* countOutbox(tx) };
}
