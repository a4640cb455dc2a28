import {
  checkpointDelayMs,
  commitFloor,
  type Delta,
  draftFloor,
  isMangroveError,
  keepsTombstones,
  type LinkConfig,
  mayFloorBeDue,
  proveByHead,
  type Plan,
  pruneTombstones,
  pruneTrash,
  readKnown,
  type ReplicaId,
  resetClock,
  signDelta,
  type Store,
} from '@mangrove/protocol';
import type { Environment, Identity } from '../environment.js';

const UINT32_RANGE = 2 ** 32;
/** A look that finds something to collect, and nobody it may be collected from yet, has read all keys: this long until the next. */
const LOOK_AGAIN_MS = 30_000;
/** Time in the trash is counted in days. */
const PRUNE_EVERY_MS = 3_600_000;
const PRUNE_ROWS_MAX = 1_024;

export interface CollectorHost {
  /** True while what it makes would be sent and what others make would be heard. */
  canCollect(): boolean;
  epoch(): number;
  /** Other replicas that are connected now, as far as is known. */
  online(): Iterable<ReplicaId>;
  committed(floor: Delta, root: Uint8Array): void;
  failed(error: unknown): void;
}

/**
 * Writes the floor that is due [FL11], and empties the trash of what has been there for `trashMs` [FL5]. It looks when something has changed
 * that could make one due: the set, or what others say of it.
 */
export class Collector {
  readonly #env: Environment;
  readonly #store: Store;
  readonly #config: LinkConfig;
  readonly #identity: Identity;
  readonly #host: CollectorHost;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pruning: ReturnType<typeof setTimeout> | undefined;
  #notBeforeMs = 0;
  #hasChanged = true;
  /** Until then the first moment in which all is settled will do, where its time came while something was on its way: before the next one's turn. */
  #lateUntilMs = 0;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(env: Environment, store: Store, config: LinkConfig, identity: Identity, host: CollectorHost) {
    this.#env = env;
    this.#store = store;
    this.#config = config;
    this.#identity = identity;
    this.#host = host;
  }

  start(): void {
    this.#prune();
  }

  /** The set has changed, or what somebody says of it. */
  changed(): void {
    this.#hasChanged = true;
    this.#plan();
  }

  /** The relay has just refused something. */
  hold(ms: number): void {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#env.clock.nowMs() + ms);
  }

  /** Resolves when what is under way is written and told. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#pruning);
    await this.#running;
  }

  #plan(): void {
    const { roomConfig, limits } = this.#config;
    // Where everything is kept nothing is collected.
    if (roomConfig.history !== 'current') return;
    if (this.#isStopped || this.#timer !== undefined || !this.#host.canCollect()) return;
    const jitter = this.#env.random.u32() / UINT32_RANGE;
    const turnMs = checkpointDelayMs(this.#identity.replica, this.#host.online(), jitter, limits.checkpointStepMs);
    const nowMs = this.#env.clock.nowMs();
    // A timer takes 32 bits: what is long past would be far ahead.
    let delayMs = Math.max(0, this.#notBeforeMs - nowMs);
    if (nowMs >= this.#lateUntilMs) {
      // Not while the others are still saying how they stand.
      delayMs = limits.checkpointStepMs + Math.max(turnMs, delayMs);
      this.#lateUntilMs = nowMs + delayMs + limits.checkpointStepMs / 2;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#run(() => this.#look());
    }, delayMs);
  }

  #run(task: () => Promise<void>): void {
    this.#running = this.#running
      .then(task)
      .catch((error: unknown) => this.#failed(error))
      .catch((error: unknown) => this.#host.failed(error));
  }

  async #failed(error: unknown): Promise<void> {
    this.hold(LOOK_AGAIN_MS);
    this.#plan();
    if (!isMangroveError(error) || error.code !== 'CLOCK_AHEAD') return this.#host.failed(error);
    // It ran ahead and may have been set right: nobody else may have anything to seal.
    const nowMs = this.#env.clock.nowMs();
    await this.#store.transact((tx) => resetClock(tx, nowMs), { mode: 'write' });
  }

  async #look(): Promise<void> {
    // Where somebody writes without a pause the moments in which all is settled are short, and would be over after another wait.
    if (this.#isStopped || !this.#host.canCollect()) return;
    this.#lateUntilMs = 0;
    const { room, limits } = this.#config;
    const nowMs = this.#env.clock.nowMs();
    this.#hasChanged = false;
    await this.#pruneAll((tx) => pruneTombstones(tx, room, PRUNE_ROWS_MAX));
    // Whether the own floor is taken may be told last, when nothing else changes any more.
    if (await this.#store.transact(keepsTombstones, { mode: 'read' })) this.#plan();
    if (!(await this.#store.transact((tx) => mayFloorBeDue(tx, limits), { mode: 'read' }))) return;
    const { replica, signer } = this.#identity;
    await this.#store.transact(
      function* (tx) {
        for (const statement of yield* readKnown(tx, replica, nowMs, limits)) yield* proveByHead(tx, room, statement);
      },
      // What it proves is proved again by the next look.
      { mode: 'write', durability: 'relaxed' },
    );
    const draft = await this.#store.transact((tx) => draftFloor(tx, room, replica, nowMs, limits), { mode: 'read' });
    if (draft === undefined) {
      // It may be due as soon as the others have heard of what was deleted last, or when one of them has expired.
      this.hold(LOOK_AGAIN_MS);
      if (this.#hasChanged) this.#plan();
      return;
    }
    const delta = signDelta(draft.unsigned, await signer.sign(draft.unsigned.message));
    const epoch = this.#host.epoch();
    const acceptance = await this.#store.transact((tx) => commitFloor(tx, room, delta, draft, epoch, nowMs), {
      mode: 'write',
      durability: 'strict',
    });
    if (acceptance !== undefined) this.#host.committed(delta, acceptance.root);
    // There may be more than one floor may collect; and one that came too late looks again.
    this.changed();
  }

  #prune(): void {
    const beforeMs = this.#env.clock.nowMs() - this.#config.limits.trashMs;
    this.#run(() => this.#pruneAll((tx) => pruneTrash(tx, beforeMs, PRUNE_ROWS_MAX)));
    if (!this.#isStopped) this.#pruning = setTimeout(() => this.#prune(), PRUNE_EVERY_MS);
  }

  async #pruneAll(plan: Plan<number>): Promise<void> {
    let pruned = PRUNE_ROWS_MAX;
    while (pruned === PRUNE_ROWS_MAX && !this.#isStopped)
      pruned = await this.#store.transact(plan, { mode: 'write', durability: 'relaxed' });
  }
}
