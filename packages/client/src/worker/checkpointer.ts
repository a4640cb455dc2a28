import {
  checkpointDelayMs,
  type CheckpointSources,
  commitCheckpoint,
  type Delta,
  draftCheckpoint,
  isMangroveError,
  type KeyId,
  type Limits,
  readCheckpointSources,
  readRetainedKeys,
  type ReplicaId,
  resetClock,
  type RoomRef,
  signDelta,
  type Store,
  tailBytesWanted,
  updatesOf,
} from '@mangrove/protocol';
import { deflate } from '../deflate.js';
import { updatesToState } from '../documents/merge.js';
import type { Environment, Identity } from '../environment.js';

const UINT32_RANGE = 2 ** 32;
/** After a failure, or a clock that is ahead. */
const RETRY_AFTER_MS = 30_000;

export interface CheckpointerHost {
  /** True while what it makes would be sent and what others make would be heard. */
  canCheckpoint(): boolean;
  epoch(): number;
  /** Other replicas that are connected now, as far as is known. */
  online(): Iterable<ReplicaId>;
  committed(checkpoint: Delta, root: Uint8Array): void;
  failed(error: unknown): void;
}

/**
 * Writes checkpoints of documents whose tail has outgrown the last one [CP3], one at a time. It reads a document when so many bytes
 * have been added as could make one due, so that a keystroke costs an addition.
 */
export class Checkpointer {
  readonly #env: Environment;
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #identity: Identity;
  readonly #limits: Limits;
  readonly #host: CheckpointerHost;
  /** How many more bytes make a look worthwhile; a key that was not looked at yet is not in it. */
  readonly #bytesLeft = new Map<KeyId, number>();
  readonly #timers = new Map<KeyId, ReturnType<typeof setTimeout>>();
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(
    env: Environment,
    store: Store,
    room: RoomRef,
    identity: Identity,
    limits: Limits,
    host: CheckpointerHost,
  ) {
    this.#env = env;
    this.#store = store;
    this.#room = room;
    this.#identity = identity;
    this.#limits = limits;
    this.#host = host;
  }

  /** Deltas of this many bytes were added to a document. */
  added(keyId: KeyId, bytes: number): void {
    const left = (this.#bytesLeft.get(keyId) ?? 0) - bytes;
    this.#bytesLeft.set(keyId, left);
    if (left <= 0) this.#plan(keyId);
  }

  /** Something of the key is wrong: whoever can put it right does so, however little there is. */
  disputed(keyId: KeyId): void {
    this.#bytesLeft.set(keyId, 0);
    this.#plan(keyId);
  }

  /** There is someone to send to again. What was found wrong before this tab was there may have no answer yet. */
  poke(): void {
    for (const [keyId, left] of this.#bytesLeft) if (left <= 0) this.#plan(keyId);
    this.#run(async () => {
      const kept = await this.#store.transact(readRetainedKeys, { mode: 'read' });
      for (const keyId of kept) this.disputed(keyId);
    });
  }

  /** Resolves when what is under way is written and told. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await this.#running;
  }

  #plan(keyId: KeyId, atLeastMs = 0): void {
    if (this.#isStopped || this.#timers.has(keyId) || !this.#host.canCheckpoint()) return;
    const jitter = this.#env.random.u32() / UINT32_RANGE;
    const { checkpointStepMs } = this.#limits;
    const delayMs = checkpointDelayMs(this.#identity.replica, this.#host.online(), jitter, checkpointStepMs);
    const timer = setTimeout(
      () => {
        this.#timers.delete(keyId);
        this.#run(() => this.#look(keyId).catch((error: unknown) => this.#failed(keyId, error)));
      },
      Math.max(delayMs, atLeastMs),
    );
    this.#timers.set(keyId, timer);
  }

  #run(task: () => Promise<void>): void {
    this.#running = this.#running.then(task).catch((error: unknown) => this.#host.failed(error));
  }

  async #look(keyId: KeyId): Promise<void> {
    if (this.#isStopped || !this.#host.canCheckpoint()) return;
    const { replica } = this.#identity;
    this.#bytesLeft.set(keyId, 0);
    const { sources, tail } = await this.#store.transact(
      (tx) => readCheckpointSources(tx, this.#room, replica, keyId, this.#limits),
      { mode: 'read' },
    );
    let stands = tail;
    if (sources !== undefined) {
      const written = await this.#write(sources);
      if (written === undefined) return this.#plan(keyId);
      // One that is refused gives its place back to what it covers, and the next waits for as much again.
      stands = { count: 0, bytes: 0, checkpoints: 1, checkpointBytes: written.bytes.length };
    }
    const wanted = Math.max(1, tailBytesWanted(stands, this.#limits) - stands.bytes);
    this.#bytesLeft.set(keyId, wanted + (this.#bytesLeft.get(keyId) ?? 0));
  }

  /** Merged and signed outside of any transaction; undefined when it came too late. */
  async #write(sources: CheckpointSources): Promise<Delta | undefined> {
    const { replica, signer } = this.#identity;
    const update = updatesToState(updatesOf(sources));
    const nowMs = this.#env.clock.nowMs();
    const unsigned = await this.#store.transact(
      (tx) => draftCheckpoint(tx, this.#room, replica, sources, update, deflate, nowMs),
      { mode: 'read' },
    );
    const delta = signDelta(unsigned, await signer.sign(unsigned.message));
    const epoch = this.#host.epoch();
    const acceptance = await this.#store.transact(
      (tx) => commitCheckpoint(tx, this.#room, delta, sources, epoch, nowMs),
      { mode: 'write', durability: 'strict' },
    );
    if (acceptance === undefined) return undefined;
    this.#host.committed(delta, acceptance.root);
    return delta;
  }

  async #failed(keyId: KeyId, error: unknown): Promise<void> {
    if (isMangroveError(error) && error.code === 'BODY_TOO_LARGE') {
      // The document has outgrown what one delta may carry: it stays as it is.
      this.#bytesLeft.set(keyId, Number.POSITIVE_INFINITY);
      return;
    }
    this.#plan(keyId, RETRY_AFTER_MS);
    if (!isMangroveError(error) || error.code !== 'CLOCK_AHEAD') return this.#host.failed(error);
    // It ran ahead and may have been set right: nobody else may have anything to seal.
    const nowMs = this.#env.clock.nowMs();
    await this.#store.transact((tx) => resetClock(tx, nowMs), { mode: 'write' });
  }
}
