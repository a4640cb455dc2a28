import {
  bytesToHex,
  type Certificate,
  certificateToBytes,
  equalBytes,
  type HeadStatement,
  headStatementToBytes,
  idToBytes,
  MangroveError,
  type Position,
  readPosition,
  readUsage,
  type ReplicaId,
  type RoomConfig,
  roomConfigToByte,
  type RoomRef,
  type Store,
} from '@mangrove/protocol';
import { Announcer } from '../announcer.js';
import type { CommitHost, Commits, Push } from '../commit-host.js';
import { type Link, RETRY } from '../link.js';
import type { Applied, Effect, LoggedEntry } from './apply.js';
import { INSTANCE_BYTES, type Operation, TOKEN_BYTES } from './entry.js';
import { appendEntry, partsLog, roomLog } from './envelope.js';
import { AWAY_MS, type FleetView } from './fleet-view.js';
import { Follower } from './follower.js';
import { pause } from './pause.js';
import { type Proposal, Proposals } from './proposals.js';
import { writeSnapshot } from './snapshots.js';
import { readWriter, type SharedState } from './state.js';

/** What a room of a fleet is told of besides what is committed. */
export interface SharedHost extends CommitHost {
  /** Keys that somebody has certified: to be known before their deltas come. */
  certified(certificates: readonly Certificate[]): void;
  /** A connection of this replica at another relay is its newest now. */
  displacedElsewhere(replica: ReplicaId): void;
  headKept(statement: HeadStatement, before: HeadStatement | undefined): void;
  /** Its proven connections alone are not believed any more. */
  distrust(replica: ReplicaId): Promise<void>;
}

/** Head statements that come within this time go together. */
const HEADS_MS = 50;
const IDLE_LOOK_MS = 100;

/** A room of a fleet: what is to become part of it is proposed to its log, and is answered when it was met there and applied [RF3, RF4]. */
export class SharedRoom implements Commits {
  readonly #fleet: FleetView;
  readonly #host: SharedHost;
  readonly #store: Store;
  readonly #ref: RoomRef;
  readonly #config: RoomConfig;
  readonly #room: string;
  readonly #instance: Uint8Array;
  readonly #announcer: Announcer;
  readonly #proposals: Proposals;
  readonly #follower: Follower;
  readonly #stop = new AbortController();
  /** Of the connections that have entered or are about to; who may not write has none. */
  readonly #tokens = new WeakMap<Link, Uint8Array>();
  /** Those of them that are open. */
  readonly #entered = new Set<Link>();
  readonly #heads = new Map<ReplicaId, HeadStatement>();
  readonly #unsubscribe: () => void;
  /** The state that is being written into the engine is given up where this is aborted. */
  #writing = new AbortController();
  #isCutting = false;

  constructor(fleet: FleetView, host: SharedHost, store: Store, ref: RoomRef, config: RoomConfig, room: string) {
    const { ports } = host;
    this.#fleet = fleet;
    this.#host = host;
    this.#store = store;
    this.#ref = ref;
    this.#config = config;
    this.#room = room;
    this.#instance = ports.random.bytes(INSTANCE_BYTES);
    this.#announcer = new Announcer(host);
    this.#proposals = new Proposals({
      instance: this.#instance,
      circumstances: () => {
        const { retainSupersededMs, trashMs } = ports.limits;
        const { clock, quota } = ports;
        return { nowMs: clock.nowMs(), quota, retainSupersededMs, trashMs, seen: this.#follower.seen };
      },
      append: (number, bytes) => this.#append(number, bytes),
    });
    this.#follower = new Follower(fleet.engine, ref, store, room, {
      ports,
      instance: this.#instance,
      viasOf: (number) => this.#proposals.peek(number).map(({ push }) => push?.link.challenge),
      applied: (applied, logged, isOwn) => this.#applied(applied, logged, isOwn),
      cut: (state, position) => this.#keep(state, position),
      stuck: (error) => this.#letWritersGo(error.code),
      retaken: (reason) => this.#retaken(reason),
    });
    this.#unsubscribe = fleet.listen({ away: () => this.#away(), back: () => this.#follower.lookAgain() });
    this.#follower.start();
  }

  get waiting(): number {
    return this.#proposals.waiting;
  }

  add(push: Push): Promise<void> {
    const { link, replica, deltas } = push;
    if (deltas.length === 0)
      return this.alone(() => this.#answerRefused(push)).catch((error: unknown) => link.fail(error));
    const token = this.#tokens.get(link);
    if (token === undefined) {
      link.shut(RETRY.tryAgainLater, 'it has not entered');
      return Promise.resolve();
    }
    const { counters } = this.#host.ports;
    const sinceMs = performance.now();
    let begunMs = sinceMs;
    const operation: Operation = {
      kind: 'push',
      replica: idToBytes(replica),
      token,
      deltas: deltas.map(({ delta, from }) => ({ bytes: delta.bytes, from })),
    };
    return new Promise((done) => {
      this.#propose({
        operation,
        push,
        isWanted: () => {
          const isTaken = this.#host.takes(push);
          if (!isTaken) done();
          return isTaken;
        },
        begun: () => {
          begunMs = performance.now();
          counters.observe('push_wait_seconds', (begunMs - sinceMs) / 1_000);
        },
        settled: () => {
          counters.observe('commit_seconds', (performance.now() - begunMs) / 1_000);
          done();
        },
        failed: (error) => {
          if (error.code === 'ENGINE_REFUSED') link.fail(error);
          else link.shut(RETRY.tryAgainLater, error.code);
          done();
        },
      });
    });
  }

  alone<Result>(task: () => Promise<Result>): Promise<Result> {
    return this.#follower.turn(task);
  }

  /** What waits for an engine that is away is given up when it has been away for long enough. */
  async idle(): Promise<void> {
    while (!this.#proposals.isIdle)
      await Promise.race([this.#proposals.idle(), pause(IDLE_LOOK_MS, this.#stop.signal)]);
    await this.alone(async () => {});
  }

  /** Which connection of a replica is its newest at this moment. Rejects with `ENGINE_UNAVAILABLE` where that cannot be told now: later it may be another one. */
  async newest(replica: ReplicaId): Promise<Uint8Array | undefined> {
    const last = await this.#fleet.engine.last(roomLog(this.#room));
    const isThere = await this.#follower.reached(last?.position ?? 0, AWAY_MS);
    if (!isThere) throw new MangroveError('ENGINE_UNAVAILABLE', { reason: 'the log could not be followed in time' });
    return await this.#store.transact((tx) => readWriter(tx, idToBytes(replica)), { mode: 'read' });
  }

  /** [RF6] Makes this connection the newest of its replica, in the whole fleet, in the place of that one. Rejects with `ENGINE_UNAVAILABLE`, also where another one was quicker: who is still there then comes back. */
  async enter(replica: ReplicaId, link: Link, before: Uint8Array | undefined): Promise<void> {
    const token = this.#tokens.get(link) ?? this.#host.ports.random.bytes(TOKEN_BYTES);
    this.#tokens.set(link, token);
    this.#entered.add(link);
    const operation: Operation = { kind: 'enter', replica: idToBytes(replica), token, before };
    const effect = await this.#submit(operation, () => link.isOpen);
    if (effect.kind !== 'entered' || !effect.isIn)
      throw new MangroveError('ENGINE_UNAVAILABLE', { reason: 'another connection was quicker' });
  }

  /** What the log has at this moment is applied, where the engine can be reached. */
  async catchUp(): Promise<void> {
    const last = await this.#fleet.engine.last(roomLog(this.#room)).catch(() => undefined);
    await this.#follower.reached(last?.position ?? 0, AWAY_MS);
  }

  /** Whether it is so still; to be asked in a turn. */
  async isNewest(replica: ReplicaId, link: Link): Promise<boolean> {
    const now = await this.#store.transact((tx) => readWriter(tx, idToBytes(replica)), { mode: 'read' });
    const token = this.#tokens.get(link);
    return now !== undefined && token !== undefined && equalBytes(now, token);
  }

  left(link: Link): void {
    this.#entered.delete(link);
  }

  /** Certificates that have no older one of their issuer are told to everybody when they are known at all relays. */
  async certify(certificates: readonly Certificate[]): Promise<void> {
    if (certificates.length > 0)
      await this.#submit({ kind: 'certify', certificates: certificates.map(certificateToBytes) });
  }

  offerHead(statement: HeadStatement): void {
    if (this.#heads.size === 0) this.#host.ports.later(HEADS_MS, () => this.#offerHeads());
    const before = this.#heads.get(statement.replica);
    if (before === undefined || before.timeMs < statement.timeMs) this.#heads.set(statement.replica, statement);
  }

  async evict(trieKey: Uint8Array, bytes: Uint8Array): Promise<void> {
    await this.#submit({ kind: 'evict', trieKey, bytesHash: this.#ref.hash(bytes) });
  }

  async clean(rowsMax: number): Promise<void> {
    await this.#submit({ kind: 'clean', rowsMax });
  }

  /** [RF8] */
  retake(): void {
    this.#follower.retake();
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#stop.abort();
    this.#writing.abort();
    this.#proposals.close();
    await this.#follower.close();
  }

  #propose(proposal: Proposal): void {
    if (this.#fleet.isAway) proposal.failed(new MangroveError('ENGINE_UNAVAILABLE', { reason: 'it is away' }));
    else this.#proposals.add(proposal);
  }

  #submit(operation: Operation, isWanted: () => boolean = () => true): Promise<Effect> {
    return new Promise((settled, failed) => {
      const gone = new MangroveError('CLOSED', { what: 'connection' });
      this.#propose({
        operation,
        isWanted: () => {
          if (isWanted()) return true;
          failed(gone);
          return false;
        },
        settled,
        failed,
      });
    });
  }

  async #append(number: number, bytes: Uint8Array): Promise<void> {
    const { counters } = this.#host.ports;
    const beganMs = performance.now();
    const id = `${bytesToHex(this.#instance)}-${number}`;
    await appendEntry(this.#fleet.engine, this.#room, id, bytes, this.#stop.signal);
    counters.add('fleet_entries_appended');
    counters.observe('fleet_append_seconds', (performance.now() - beganMs) / 1_000);
  }

  #offerHeads(): void {
    const statements = [...this.#heads.values()].map(headStatementToBytes);
    this.#heads.clear();
    // One that is lost is made again.
    if (!this.#stop.signal.aborted) this.#submit({ kind: 'heads', statements }).catch(() => {});
  }

  async #answerRefused(push: Push): Promise<void> {
    const position = await this.#store.transact(readPosition, { mode: 'read' });
    this.#announcer.announce([push], { outcomes: [[]], fresh: [], repaired: 0, superseded: 0, position });
  }

  #applied({ state, effects }: Applied, { entry }: LoggedEntry, isOwn: boolean): void {
    const own = isOwn && entry !== undefined ? this.#proposals.take(entry.number) : [];
    for (const effect of effects) this.#tell(effect, own);
    if (effects.length === 0) {
      const error = new MangroveError('ENGINE_UNAVAILABLE', { reason: 'an entry was passed over' });
      for (const proposal of own) proposal.failed(error);
    }
    if (own.length > 0 && !this.#isCutting && state.bytesSinceCut >= this.#fleet.cutBytes) this.#cutIfWorthwhile();
  }

  #tell(effect: Effect, own: readonly Proposal[]): void {
    switch (effect.kind) {
      case 'committed':
        this.#tellCommitted(effect, own);
        return;
      case 'certified':
        if (effect.certificates.length > 0) this.#host.certified(effect.certificates);
        break;
      case 'entered':
        if (effect.isIn && !this.#isOurs(effect.token)) this.#host.displacedElsewhere(effect.replica);
        break;
      case 'heads':
        for (const { statement, before } of effect.kept) this.#host.headKept(statement, before);
        break;
      case 'evicted':
        this.#tellEvicted(effect.replica, effect.position);
        break;
    }
    own[effect.at]?.settled(effect);
  }

  #tellCommitted(effect: Effect & { kind: 'committed' }, own: readonly Proposal[]): void {
    const { of, deltas, committed } = effect;
    const pushes = of.flatMap((at) => own[at]?.push ?? []);
    if (pushes.length < of.length) this.#announcer.tell([{ deltas }], committed);
    else {
      this.#host.ports.counters.observe('commit_deltas', deltas.length);
      this.#announcer.announce(pushes, committed);
    }
    for (const at of of) own[at]?.settled(effect);
  }

  #tellEvicted(replica: ReplicaId | undefined, position: Position): void {
    if (replica === undefined) return;
    const { counters, report } = this.#host.ports;
    counters.add('deltas_evicted');
    this.#host.distrust(replica).catch(report);
    this.#host.announce({ kind: 'committed', deltas: [], position, tells: true });
  }

  #isOurs(token: Uint8Array): boolean {
    for (const link of this.#entered) {
      const ours = this.#tokens.get(link);
      if (ours !== undefined && equalBytes(ours, token)) return true;
    }
    return false;
  }

  /** [RF5] What is behind the last cut has to outweigh what the room comes to, as all of that is written for a cut. */
  #cutIfWorthwhile(): void {
    this.#isCutting = true;
    const look = async (): Promise<void> => {
      const { bytes } = await this.#store.transact(readUsage, { mode: 'read' });
      if (this.#follower.state.bytesSinceCut < Math.max(this.#fleet.cutBytes, bytes)) return;
      await this.#submit({ kind: 'cut', config: roomConfigToByte(this.#config) });
    };
    look()
      .catch(() => {})
      .finally(() => {
        this.#isCutting = false;
      });
  }

  async #keep(state: SharedState, { roll, root }: Position): Promise<void> {
    const { engine } = this.#fleet;
    const { report, counters } = this.#host.ports;
    this.#writing = new AbortController();
    try {
      const facts = { at: state.applied, index: state.index, roll, root };
      const isNewest = await writeSnapshot(
        engine,
        this.#ref.hash,
        this.#room,
        this.#store,
        facts,
        this.#writing.signal,
      );
      if (!isNewest) return;
      await engine.cut(roomLog(this.#room), state.applied);
      if (state.partsGone > 0) await engine.cut(partsLog(this.#room), state.partsGone + 1);
      counters.add('fleet_logs_cut');
    } catch (error) {
      // The log stays as it is until the next cut.
      if (!this.#stop.signal.aborted) report(error);
    }
  }

  #away(): void {
    this.#writing.abort();
    this.#proposals.giveUp(new MangroveError('ENGINE_UNAVAILABLE', { reason: 'it has been away for too long' }));
    this.#letWritersGo('ENGINE_UNAVAILABLE');
  }

  /** What was proposed may be in what was taken, and is met no more. */
  #retaken(reason: string): void {
    this.#host.letGo(reason);
    this.#proposals.giveUp(new MangroveError('ENGINE_UNAVAILABLE', { reason }));
  }

  #letWritersGo(reason: string): void {
    for (const link of [...this.#entered]) link.shut(RETRY.tryAgainLater, reason);
  }
}
