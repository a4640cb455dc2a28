import {
  equalBytes,
  isMangroveError,
  type MangroveError,
  type Position,
  readPosition,
  ROLL_BYTES,
  type RoomRef,
  type Store,
} from '@mangrove/protocol';
import type { RelayPorts } from '../ports.js';
import { type Applied, applyEntry, type LoggedEntry, passEntry } from './apply.js';
import type { Engine, Following, LogEntry } from './engine.js';
import type { Entry } from './entry.js';
import { readEntry, roomLog } from './envelope.js';
import { pause } from './pause.js';
import { newestSnapshot, readSnapshot, wipe } from './snapshots.js';
import { NOTHING_APPLIED, readShared, type SharedState, writeShared } from './state.js';

const AGAIN_MS = 500;
const LOOK_MS = 5;
/** Entries that share one transaction, and their bytes. */
const CHUNK_ENTRIES = 64;
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Of so many entries it is remembered where the room stood after each. */
const PLACES_MAX = 1_024;
/** A room is not taken anew more often for what may be the fault of others. */
const RETAKE_MS = 600_000;

export interface FollowerHost {
  readonly ports: Pick<RelayPorts, 'counters' | 'report' | 'log' | 'clock'>;
  readonly instance: Uint8Array;
  /** The challenges of the connections that the operations of an own entry came over. */
  viasOf(number: number): readonly (Uint8Array | undefined)[];
  /** In the order of the log. */
  applied(applied: Applied, logged: LoggedEntry, isOwn: boolean): void;
  /** An own cut was applied: the room stays as it is until this resolves. */
  cut(state: SharedState, position: Position): Promise<void>;
  /** The disk does not take what is to be applied: it is tried again. */
  stuck(error: MangroveError): void;
  /** The room is another from now on, which its connections have to be told from the beginning. */
  retaken(reason: string): void;
}

/** Follows the log of a room and applies it to the copy that is here, one turn at a time [RF3, RF5, RF8]. */
export class Follower {
  readonly #engine: Engine;
  readonly #ref: RoomRef;
  readonly #store: Store;
  readonly #room: string;
  readonly #host: FollowerHost;
  readonly #stop = new AbortController();
  #chain: Promise<unknown> = Promise.resolve();
  #following: Following | undefined;
  #closing: Promise<unknown>[] = [];
  #state: SharedState = NOTHING_APPLIED;
  #position: Position = { offset: 0, roll: new Uint8Array(ROLL_BYTES), root: new Uint8Array() };
  /** The rolling hash after an entry, by how many entries were applied then. */
  readonly #places = new Map<number, Uint8Array>();
  #isAstray = false;
  #takenAtMs = Number.NEGATIVE_INFINITY;

  constructor(engine: Engine, ref: RoomRef, store: Store, room: string, host: FollowerHost) {
    this.#engine = engine;
    this.#ref = ref;
    this.#store = store;
    this.#room = room;
    this.#host = host;
  }

  /** Where this copy stands, as its entries say. */
  get seen(): Entry['seen'] {
    return { index: this.#state.index, roll: this.#position.roll };
  }

  get state(): SharedState {
    return this.#state;
  }

  /** Whether the entry at this position was applied within that time. */
  async reached(position: number, withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (this.#state.applied < position || this.#state.isLoading) {
      if (performance.now() >= deadline || this.#stop.signal.aborted) return false;
      await pause(LOOK_MS, this.#stop.signal);
    }
    return true;
  }

  start(): void {
    this.#begin().catch(this.#host.ports.report);
  }

  /** Runs something between two entries. */
  turn<Result>(task: () => Promise<Result>): Promise<Result> {
    const running = this.#chain.then(task);
    this.#chain = running.catch(() => {});
    return running;
  }

  /** The engine can be reached again: it may have lost what it had not written. */
  lookAgain(): void {
    this.start();
  }

  /** What is here is not to be relied on any more. */
  retake(): void {
    this.#isAstray = true;
    this.turn(() => this.#retakeIfAstray()).catch(this.#host.ports.report);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#closing.push(this.#following?.close() ?? Promise.resolve());
    await Promise.all(this.#closing);
    await this.#chain;
  }

  /** Who reads what is here does not wait for the engine meanwhile. */
  async #begin(): Promise<void> {
    await this.turn(() => this.#load());
    const { applied, isLoading } = this.#state;
    const isLost = !isLoading && applied > 0 && (await this.#hasLost(applied));
    if (isLost)
      this.#host.ports.report(
        new Error(`the engine has lost what room ${this.#ref.roomId} had applied; it is taken anew`),
      );
    await this.turn(async () => {
      if (this.#stop.signal.aborted) return;
      if (isLoading || isLost) await this.#takeState();
      else if (this.#following === undefined) this.#follow();
    });
  }

  async #load(): Promise<void> {
    const { state, position } = await this.#store.transact(
      function* (tx) {
        return { state: yield* readShared(tx), position: yield* readPosition(tx) };
      },
      { mode: 'read' },
    );
    this.#state = state;
    this.#position = position;
  }

  #follow(): void {
    if (this.#stop.signal.aborted) return;
    const following: Following = this.#engine.follow(roomLog(this.#room), this.#state.applied, async (entries) => {
      if (this.#following === undefined || this.#following === following)
        await this.turn(() => this.#take(entries, following)).catch(this.#host.ports.report);
    });
    this.#following = following;
  }

  /** Follows from where the copy stands by now. What the former following still tells counts no more. */
  #followAnew(): void {
    const before = this.#following;
    this.#following = undefined;
    // It waits for the turn that this is, so nobody waits for it here.
    if (before !== undefined) this.#closing.push(before.close());
    this.#follow();
  }

  async #take(entries: readonly LogEntry[], following: Following): Promise<void> {
    const chunk: LoggedEntry[] = [];
    let bytes = 0;
    const applyChunk = async (): Promise<void> => {
      await this.#apply(chunk.splice(0));
      bytes = 0;
    };
    for (const entry of entries) {
      if (this.#stop.signal.aborted || this.#following !== following) return;
      if (entry.position <= this.#state.applied) continue;
      const logged = await this.#patiently(() => readEntry(this.#engine, this.#room, entry));
      if (logged === undefined) return;
      const cut = logged.entry?.operations.some(({ kind }) => kind === 'cut') === true;
      if (cut || logged.isTorn) {
        await applyChunk();
        if (logged.isTorn || (await this.#hasMissed(logged))) return await this.#takeState();
      }
      chunk.push(logged);
      bytes += logged.size;
      if (cut || chunk.length >= CHUNK_ENTRIES || bytes >= CHUNK_BYTES) await applyChunk();
      if (cut && this.#isOwn(logged)) await this.#host.cut(this.#state, this.#position);
    }
    await applyChunk();
    await this.#retakeIfAstray();
  }

  async #apply(chunk: readonly LoggedEntry[]): Promise<void> {
    if (chunk.length === 0) return;
    const { counters, report } = this.#host.ports;
    for (;;) {
      let all: readonly Applied[];
      try {
        all = await this.#transact(chunk);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (isMangroveError(error) && error.retryable) {
          this.#host.stuck(error);
          await pause(AGAIN_MS, this.#stop.signal);
          continue;
        }
        if (chunk.length > 1) {
          for (const one of chunk) await this.#apply([one]);
          return;
        }
        report(error);
        all = [
          await this.#store.transact((tx) => passEntry(tx, chunk[0] as LoggedEntry), {
            mode: 'write',
            durability: 'strict',
          }),
        ];
      }
      for (const [i, applied] of all.entries()) {
        const logged = chunk[i] as LoggedEntry;
        this.#lookIfAstray(logged);
        this.#state = applied.state;
        this.#position = applied.position;
        this.#places.set(applied.state.index, applied.position.roll);
        this.#places.delete(applied.state.index - PLACES_MAX);
        counters.add('fleet_entries_applied');
        this.#host.applied(applied, logged, this.#isOwn(logged));
      }
      return;
    }
  }

  #transact(chunk: readonly LoggedEntry[]): Promise<readonly Applied[]> {
    const ref = this.#ref;
    const viasOf = (logged: LoggedEntry) =>
      logged.entry !== undefined && this.#isOwn(logged) ? this.#host.viasOf(logged.entry.number) : [];
    return this.#store.transact(
      function* (tx) {
        const all: Applied[] = [];
        for (const logged of chunk) all.push(yield* applyEntry(tx, ref, logged, viasOf(logged)));
        return all;
      },
      { mode: 'write', durability: 'strict' },
    );
  }

  #isOwn({ entry }: LoggedEntry): boolean {
    return entry !== undefined && equalBytes(entry.instance, this.#host.instance);
  }

  /** [RF8] Two who have applied the same entries stand at the same place, unless one of them has lost something. */
  #lookIfAstray({ entry }: LoggedEntry): void {
    const here = entry && this.#places.get(entry.seen.index);
    if (entry === undefined || here === undefined || equalBytes(here, entry.seen.roll)) return;
    const { counters, report, clock } = this.#host.ports;
    counters.add('fleet_rooms_strayed');
    if (clock.nowMs() - this.#takenAtMs < RETAKE_MS) return;
    report(new Error(`another relay of the fleet stands elsewhere in room ${this.#ref.roomId}; it is taken anew`));
    this.#isAstray = true;
  }

  async #retakeIfAstray(): Promise<void> {
    if (this.#isAstray) await this.#takeState();
  }

  /** [RF5] Whether entries before this cut were dropped before they came here: then the state of it is in the engine, and is another than this one. */
  async #hasMissed({ position: at }: LoggedEntry): Promise<boolean> {
    const newest = await this.#patiently(() => newestSnapshot(this.#engine, this.#room));
    if (newest === undefined || newest.at < at) return false;
    if (newest.at > at) return true;
    const { index, roll, root } = newest;
    const isSame =
      index === this.#state.index + 1 && equalBytes(roll, this.#position.roll) && equalBytes(root, this.#position.root);
    return !isSame;
  }

  /** Whether the engine does not have the entry any more that was applied last, and nothing after it either. */
  async #hasLost(applied: number): Promise<boolean> {
    const log = roomLog(this.#room);
    const next = await this.#patiently(() => this.#engine.read(log, applied - 1, 1));
    return next !== undefined && next.length === 0;
  }

  /** Takes the newest state of the engine in the place of this one, and what came after it; or everything from the beginning of the log. */
  async #takeState(): Promise<void> {
    const { counters, log, clock } = this.#host.ports;
    this.#host.retaken('the room is taken anew from the engine');
    this.#isAstray = false;
    this.#takenAtMs = clock.nowMs();
    counters.add('fleet_rooms_taken');
    await this.#patiently(async () => {
      const newest = await newestSnapshot(this.#engine, this.#room);
      log.info({ room: this.#ref.roomId, at: newest?.at ?? 0 }, 'taking the room from the engine');
      if (newest !== undefined)
        return await readSnapshot(this.#engine, this.#ref.hash, this.#room, this.#store, newest);
      await wipe(this.#store);
      await this.#store.transact(
        function* (tx) {
          writeShared(tx, NOTHING_APPLIED);
        },
        { mode: 'write', durability: 'strict' },
      );
    });
    this.#places.clear();
    await this.#load();
    this.#host.retaken('the room was taken anew from the engine');
    this.#followAnew();
  }

  /** Until it can be done; undefined where the room is closed before. */
  async #patiently<Result>(task: () => Promise<Result>): Promise<Result | undefined> {
    while (!this.#stop.signal.aborted) {
      try {
        return await task();
      } catch (error) {
        if (!isMangroveError(error) || error.code !== 'ENGINE_UNAVAILABLE') this.#host.ports.report(error);
        await pause(AGAIN_MS, this.#stop.signal);
      }
    }
    return undefined;
  }
}
