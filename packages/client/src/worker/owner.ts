import {
  bytesToHex,
  type Delta,
  EpochPassed,
  type ErrorCode,
  errorToFacts,
  type ErrorFacts,
  hasFound,
  hlcToMs,
  type JournalRow,
  type KeyId,
  MangroveError,
  nextEpoch,
  type Peer,
  type Presence,
  progressOf,
  readNumber,
  readRoot,
  type Refused,
  type ReplicaState,
  type ScrubFindings,
  type SealedDraft,
  type Store,
  type Unseen,
} from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { ReceivedKey } from '../tabs/room-channel.js';
import { Checkpointer } from './checkpointer.js';
import { Collector } from './collector.js';
import { FencedStore } from './fenced-store.js';
import { Folder } from './folder.js';
import { holdMsAfter } from './holds.js';
import type { Barrier } from './journal-writer.js';
import { Online } from './online.js';
import type { OwnerHost } from './owner-host.js';
import type { Received } from './receive.js';
import { giveUpWrites } from './lost-writes.js';
import { Merger } from './merger.js';
import { ReplicaLink } from './replica-link.js';
import { toNotice } from './row-notices.js';
import type { RuntimeOptions } from './runtime-options.js';
import { readMarks } from './load.js';
import { Scrubber } from './scrubber.js';
import { sealedRows } from './seal-once.js';
import { Sealer } from './sealer.js';
import { addRepairs, type Attempt, connectionOf } from './status.js';

/** Bytes of sealed deltas that are handed to the link as they are. */
const CARRIED_BYTES_MAX = 256 * 1024;

/**
 * What only the tab that owns the replica does: seal the journal, hold the connection, receive. Everything it does is told to
 * the others, who keep the same books.
 */
export class Owner {
  readonly #env: Environment;
  readonly #options: RuntimeOptions;
  readonly #host: OwnerHost;
  readonly #link: ReplicaLink;
  readonly #sealer: Sealer;
  readonly #folder: Folder;
  /** What keeps documents quick to open. */
  readonly #checkpointer: Pick<Checkpointer, 'added' | 'disputed' | 'poke' | 'stop'>;
  readonly #collector: Collector;
  readonly #scrubber: Scrubber;
  /** Of what is written in it nothing counts once another tab owns the replica. */
  readonly #store: Store;
  #givingUp: Promise<void> | undefined;
  readonly #online = new Online();
  #epoch = 0;
  #isPaused: boolean;
  #attempt: Attempt = 'none';
  #isLive = false;
  #isStopped = false;

  constructor(env: Environment, options: RuntimeOptions, host: OwnerHost, isPaused: boolean) {
    const { config, identity } = options;
    const store = new FencedStore(
      options.store,
      () => this.#epoch,
      () => host.passed(),
    );
    const failed = (error: unknown): void => this.#failed(error);
    this.#env = env;
    this.#options = options;
    this.#host = host;
    this.#isPaused = isPaused;
    this.#sealer = new Sealer(env, store, config.room, identity, {
      canSeal: () => this.#epoch > 0 && this.#link.canPush,
      epoch: () => this.#epoch,
      sealed: (drafts, root) => this.#sealed(drafts, root),
      failed,
    });
    this.#folder = new Folder(store, {
      canFold: () => this.#epoch > 0 && !this.#link.canPush,
      epoch: () => this.#epoch,
      folded: (replaced) => this.#tellUnheard(replaced),
      failed,
    });
    this.#checkpointer = this.#makeCheckpointer(store, failed);
    this.#collector = new Collector(env, store, config, identity, {
      canCollect: () => this.#canMerge && host.status.link.settled,
      epoch: () => this.#epoch,
      online: () => this.#online.replicas(env.clock.nowMs()),
      committed: (floor, root) => this.#wrote(floor, root),
      failed,
    });
    this.#link = new ReplicaLink(env, store, identity, config, {
      token: () => host.token(),
      received: (received) => this.#received(received),
      acknowledged: (seqs) => host.tell({ kind: 'acknowledged', seqs }),
      withdrawn: (refused, seqs, rows) => this.#withdrawn(refused, seqs, rows),
      head: ({ replica, vector, timeMs }) => {
        this.#online.said(replica, timeMs);
        this.#collector.changed();
        host.tell({ kind: 'heads', heads: [{ replica, seq: vector.get(identity.replica) ?? 0, timeMs }] });
      },
      show: (message) => this.#show(message),
      fault: (error) => this.#fault(error),
      identitySpent: () => {
        this.#identitySpent().catch((error: unknown) => this.#fault(errorToFacts(error)));
      },
      changed: (state, root) => this.#linkChanged(state, root),
      repaired: (repairs) => host.status.set({ repairs: { ...host.status.link.repairs, ...repairs } }),
    });
    this.#store = store;
    this.#scrubber = new Scrubber(store, config, {
      scrubbed: (findings) => this.#scrubbed(findings),
      leave: (reason) => options.leave(reason),
      failed,
    });
    options.store.listen((findings) => {
      this.#scrubbed(findings);
      this.#scrubber.healed(findings);
    });
  }

  #makeCheckpointer(store: Store, failed: (error: unknown) => void): Checkpointer | Merger {
    const { config, identity } = this.#options;
    const env = this.#env;
    const epoch = (): number => this.#epoch;
    if (config.roomConfig.history === 'full') return new Merger(store, config, { epoch, failed });
    return new Checkpointer(env, store, config.room, identity, config.limits, {
      canCheckpoint: () => this.#canMerge && this.#link.state.kind === 'live',
      epoch,
      online: () => this.#online.replicas(env.clock.nowMs()),
      committed: (checkpoint, root) => this.#wrote(checkpoint, root),
      failed,
    });
  }

  /** An older owner that thaws finds its epoch gone and writes nothing [JS9]. */
  async start(): Promise<void> {
    this.#epoch = await this.#options.store.transact(nextEpoch, { mode: 'write', durability: 'strict' });
    this.#scrubber.start();
    this.#collector.start();
    await this.#link.guard.resume();
    if (!this.#isPaused) this.#connect();
    this.#linkChanged(this.#link.state, undefined);
  }

  /** Resolves when what is under way is written and told. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const { guard } = this.#link;
    const parts = [this.#sealer, this.#folder, this.#checkpointer, this.#collector, this.#scrubber, guard, this.#link];
    await Promise.all([...parts.map((part) => part.stop()), this.#givingUp]);
  }

  /** What others send cannot be tried here [CX9]. */
  get isUnguarded(): boolean {
    return this.#link.guard.isUnable;
  }

  /** There may be something to seal: so many rows were added. */
  poke(rows: number): void {
    this.#sealer.poke();
    this.#folder.added(rows);
  }

  /** The strict transaction that follows on what is journaled while there is someone to send to. */
  get barrier(): Barrier {
    return this.#sealer;
  }

  setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) void this.#link.stop();
    else this.#connect();
    this.#linkChanged(this.#link.state, undefined);
  }

  /** What no link of this owner brought and its sealer did not seal: a backup was restored, or the journal sealed for one. */
  async stored(keys: readonly ReceivedKey[], fromSeq: number | undefined): Promise<void> {
    const { root, marks } = await this.#options.store.transact(
      function* (tx) {
        return { root: (yield* readRoot(tx)).root, marks: yield* readMarks(tx) };
      },
      { mode: 'read' },
    );
    if (this.#isStopped) return;
    const { status } = this.#host;
    const isSame = bytesToHex(root) === status.room.root;
    status.set({ root: bytesToHex(root), settled: status.link.settled && isSame, ...marks });
    if (fromSeq !== undefined) this.#link.post({ kind: 'sealed', deltas: [], fromSeq });
    for (const { keyId, document, bytes } of keys) if (document !== undefined) this.#checkpointer.added(keyId, bytes);
    this.#link.checkNow();
  }

  /** What was lost here is somewhere else, with luck: roots are compared at once [AE3]. */
  #scrubbed(findings: ScrubFindings): void {
    const { status } = this.#host;
    status.set({ repairs: addRepairs(status.link.repairs, findings) });
    if (!hasFound(findings) || this.#isStopped) return;
    if (findings.unreadable + findings.contradicting > 0) {
      this.#fault(errorToFacts(new MangroveError('STORAGE_DAMAGED', { ...findings })));
      // Some of it may be set aside now.
      void this.stored([], undefined).catch((error: unknown) => this.#fault(errorToFacts(error)));
    }
    // What stood in the way of reading an own delta may be mended: what waits is looked for once more [SY6].
    this.#link.post({ kind: 'sealed', deltas: [], fromSeq: 1 });
    this.#link.checkNow();
  }

  /** What it makes would be sent, and what others make would be heard. */
  get #canMerge(): boolean {
    return this.#epoch > 0 && this.#link.canPush && this.#link.hears;
  }

  /** [AE7] Roots are equal, so what is sealed and not acknowledged is nowhere else. */
  #giveUpLost(): void {
    const host = this.#host;
    const { identity, config } = this.#options;
    const isSo = (): boolean => !this.#isStopped && host.status.link.settled && host.hasUnacknowledged();
    if (this.#givingUp !== undefined || !isSo()) return;
    this.#givingUp = giveUpWrites(this.#store, config.room, identity.replica, isSo)
      .then((lost) => {
        if (lost.length === 0) return;
        const error = new MangroveError('DELTA_LOST', { writes: lost.reduce((sum, { writes }) => sum + writes, 0) });
        host.tell({ kind: 'lost', error: errorToFacts(error), seqs: lost.map(({ seq }) => seq) });
      })
      .catch((error: unknown) => this.#failed(error))
      .finally(() => (this.#givingUp = undefined));
  }

  sendPresence(tab: number, keyId: KeyId, state: Uint8Array): void {
    this.#link.sendPresence({ kind: 'presence', replica: this.#options.identity.replica, tab, keyId, state });
  }

  #connect(): void {
    const { relays, room } = this.#options;
    if (relays.length === 0 || this.#isStopped || this.#epoch === 0) return;
    this.#link.start(relays, room, (attempt) => {
      this.#attempt = attempt;
      if (attempt === 'trying') this.#online.clear();
      this.#linkChanged(this.#link.state, undefined);
    });
  }

  #sealed(drafts: readonly SealedDraft[], root: Uint8Array): void {
    this.#tellUnheard(drafts.flatMap(({ rows }) => rows));
    this.#host.tell({ kind: 'sealed', deltas: drafts.map(sealedRows) });
    this.#host.status.set({ root: bytesToHex(root), settled: false });
    const fromSeq = drafts[0]?.delta.seq ?? 1;
    const deltas = drafts.map(({ delta }) => delta.bytes);
    const bytes = deltas.reduce((sum, { length }) => sum + length, 0);
    // What is sealed faster than a link takes it would gather here; it is on disk, and is read from there.
    this.#link.post({ kind: 'sealed', deltas: bytes > CARRIED_BYTES_MAX ? [] : deltas, fromSeq });
    for (const { delta, rows } of drafts)
      if (rows[0]?.name.kind === 'document') this.#checkpointer.added(delta.keyId, delta.bytes.length);
  }

  #tellUnheard(rows: readonly JournalRow[]): void {
    const unheard = rows.filter((row) => !this.#host.isKnown(row.number));
    if (unheard.length > 0) this.#host.tell({ kind: 'journaled', rows: unheard.map(toNotice) });
  }

  /** A checkpoint or a floor: nobody's write, but an own delta that is to be sent. */
  #wrote({ bytes, seq, body, hlc }: Delta, root: Uint8Array): void {
    this.#host.tell({ kind: 'sealed', deltas: [{ seq, rows: [], bytes: body.length, atMs: hlcToMs(hlc) }] });
    this.#host.status.set({ root: bytesToHex(root), settled: false });
    this.#link.post({ kind: 'sealed', deltas: [bytes], fromSeq: seq });
  }

  #received(received: Received): void {
    const { standing, keys, rejected, faults, withdrawn } = received;
    if (withdrawn.seqs.length > 0) this.#underFloor(withdrawn);
    if (received.unseen.length > 0) this.#coveredUnseen(received.unseen);
    this.#host.received(received);
    this.#scrubber.took(received.added);
    if (keys.length > 0) this.#host.post({ kind: 'received', keys });
    for (const fault of faults) this.#fault(fault);
    for (const { delta } of rejected)
      this.#fault(errorToFacts(new MangroveError('SIGNATURE_INVALID', { replica: delta.replica })));
    this.#host.status.set({ root: bytesToHex(standing.root), ...received.marks });
    for (const { keyId, document, bytes } of keys) if (document !== undefined) this.#checkpointer.added(keyId, bytes);
    for (const keyId of received.disputed) this.#checkpointer.disputed(keyId);
  }

  /** The content is in the journal again; sealing it at once would only be refused again. */
  #withdrawn({ replica, seq, code, facts }: Refused, seqs: readonly number[], rows: readonly JournalRow[]): void {
    const error = errorToFacts(new MangroveError(code, { ...facts, replica, seq }));
    this.#fault(error);
    const holdMs = holdMsAfter(code);
    this.#sealer.hold(holdMs);
    this.#collector.hold(holdMs);
    const told = code === 'COVERED_UNSEEN' ? undefined : error;
    this.#host.tell({ kind: 'withdrawn', seqs, error: told, rows: rows.map(toNotice) });
  }

  /** [CX10] Sealed anew at once, above what has come. Who waits for them goes on waiting: nothing is wrong with what they wrote. */
  #coveredUnseen(unseen: readonly Unseen[]): void {
    this.#faultOfOwn('COVERED_UNSEEN', unseen[0]?.seq);
    for (const { seq, rows } of unseen)
      this.#host.tell({ kind: 'withdrawn', seqs: [seq], error: undefined, rows: rows.map(toNotice) });
    this.#sealer.poke();
  }

  /** [FL5] A floor has come that unsent deltas of ours lie under: they are in the journal again, and are sealed anew at once. */
  #underFloor({ seqs, rows }: Received['withdrawn']): void {
    const error = this.#faultOfOwn('UNDER_FLOOR', seqs[0]);
    this.#host.tell({ kind: 'withdrawn', seqs, error, rows: rows.map(toNotice) });
    this.#sealer.poke();
  }

  /** The profile was copied or restored: what is unsent is sealed again under a new identity, in all tabs. */
  async #identitySpent(): Promise<void> {
    const { replica } = this.#options.identity;
    void this.stop();
    // Where another tab owns the replica by now, it is that tab's connection that has taken the place of this one.
    const epoch = await this.#options.store.transact((tx) => readNumber(tx, 'epoch'), { mode: 'read' });
    if (epoch !== this.#epoch) return;
    this.#faultOfOwn('DOT_REUSED');
    this.#host.tell({ kind: 'identity-spent', replica });
  }

  #show(message: Presence | Peer): void {
    if (message.kind === 'presence') {
      const { replica, tab, keyId, state } = message;
      const peer = `${replica}-${tab}`;
      this.#host.show(peer, keyId, state);
      this.#host.post({ kind: 'peer-presence', peer, keyId, state });
      return;
    }
    this.#online.came(message.replica, message.present);
    // Who is told before the connection has begun was there already: that one answers our presence, and gets no answer [SY12].
    if (this.#host.status.link.connection === 'connected') this.#peers(message.replica, message.present);
  }

  #peers(replica: Peer['replica'] | 'all', present: boolean): void {
    this.#host.peers(replica, present);
    this.#host.post({ kind: 'peers', replica, present });
  }

  #linkChanged(state: ReplicaState, root: Uint8Array | undefined): void {
    const { status } = this.#host;
    const before = status.link;
    const network = { isPaused: this.#isPaused, attempt: this.#attempt };
    const connection = this.#options.relays.length === 0 ? 'none' : connectionOf(state, network);
    const isLive = state.kind === 'live';
    const settled = isLive && state.settled;
    // What came while it was catching up waits too.
    if (isLive && !this.#isLive) this.#checkpointer.poke();
    this.#isLive = isLive;
    const progress = progressOf(state);
    const hasMoved = progress?.bytes !== before.progress?.bytes || progress?.deltas !== before.progress?.deltas;
    // That a synced moment moves on is no news: the time is told with what changes.
    if (settled !== before.settled || connection !== before.connection || root !== undefined || hasMoved) {
      const lastSyncedAtMs = settled ? this.#env.clock.nowMs() : before.lastSyncedAtMs;
      const known = root === undefined ? {} : { root: bytesToHex(root) };
      status.set({ connection, settled, lastSyncedAtMs, progress, ...known });
      if (settled && (!before.settled || root !== undefined)) this.#collector.changed();
      if (settled && this.#link.hears) this.#giveUpLost();
    }
    if (connection === before.connection) return;
    if (connection === 'connected') {
      this.#peers('all', true);
      this.#sealer.poke();
    } else if (before.connection === 'connected') {
      this.#peers('all', false);
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof EpochPassed)) this.#fault(errorToFacts(error));
  }

  #faultOfOwn(code: ErrorCode, seq?: number): ErrorFacts {
    const { replica } = this.#options.identity;
    const error = errorToFacts(new MangroveError(code, { replica, ...(seq !== undefined && { seq }) }));
    this.#fault(error);
    return error;
  }

  #fault(error: ErrorFacts): void {
    this.#host.status.fault(error);
  }
}
