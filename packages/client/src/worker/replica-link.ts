import {
  bytesToRelayMessage,
  checkDelayMs,
  countRepairs,
  EpochPassed,
  equalBytes,
  errorToFacts,
  FrameJoiner,
  headMessage,
  headsRootOf,
  type Hello,
  helloMessage,
  isMangroveError,
  type LinkConfig,
  LinkMemory,
  type Message,
  messageToBytes,
  messageToFrames,
  NO_REPAIRS,
  offline,
  type Plan,
  type Presence,
  PROTOCOL_VERSION,
  rankRelays,
  readCursor,
  readRoot,
  readVectorRows,
  type RelayChoice,
  type RelayMessage,
  type Repairs,
  type ReplicaEffect,
  type ReplicaEvent,
  type ReplicaState,
  roomConfigToByte,
  type Store,
  stepReplica,
  writeSyncedAt,
} from '@mangrove/protocol';
import type { Environment, Identity } from '../environment.js';
import type { Transport } from '../transports/transport.js';
import type { Guard } from './guard/guard.js';
import type { LinkHost } from './link-host.js';
import { standing } from './link-plans.js';
import { LinkWork } from './link-work.js';
import { Session } from './session.js';
import type { Attempt } from './status.js';

/** A head statement soon after things have come to rest, and at most one in this time while they do not: it goes to everybody. */
const HEAD_AFTER_MS = 250;
const HEAD_EVERY_MS = 1_000;
/** Nobody waits for what a replica says after its own writes alone. */
const OWN_HEAD_EVERY_MS = 10_000;
/** After a fault of ours: long enough not to spin, short enough not to be noticed much. */
const RETRY_AFTER_MS = 2_000;

/** What shows that a connection is of use: when it ends, the next one is worth trying at once. */
const GAINS: ReadonlySet<RelayMessage['kind']> = new Set(['deltas', 'part', 'want', 'ack']);
/** What is read only to be sent over the connection that asked. */
const isForSending = ({ kind }: ReplicaEffect): boolean => kind.startsWith('read-') || kind.endsWith('-diff');

/**
 * Runs the step function of one room's connection: events in, one at a time; effects out, in order. It decides nothing.
 */
export class ReplicaLink {
  readonly #env: Environment;
  readonly #store: Store;
  readonly #identity: Identity;
  readonly #config: LinkConfig;
  readonly #host: LinkHost;
  readonly #work: LinkWork;
  #state: ReplicaState;
  #transport: Transport | undefined;
  #joiner: FrameJoiner;
  /** What was told over the connection that is open now, by the relay and to it [SY21]. */
  #heard = new LinkMemory();
  #told = new LinkMemory();
  #queue: Promise<void> = Promise.resolve();
  #checks: ReturnType<typeof setTimeout> | undefined;
  /** Comparisons in a row that have found nothing to do. */
  #calm = 0;
  #checkedRoot: Uint8Array | undefined;
  #repairs: Repairs = NO_REPAIRS;
  #headTimer: ReturnType<typeof setTimeout> | undefined;
  #publishedRoot: Uint8Array | undefined;
  #publishedAtMs = Number.NEGATIVE_INFINITY;
  /** Whether anything of others has come since the last statement. */
  #hasReceived = true;
  #isHeadSlow = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** The connection that is open now, and the one that the event in hand belongs to: what is made for one is not sent on another. */
  #session = new Session();
  #stepped = this.#session;

  constructor(env: Environment, store: Store, identity: Identity, config: LinkConfig, host: LinkHost) {
    this.#env = env;
    this.#store = store;
    this.#identity = identity;
    this.#config = config;
    this.#host = host;
    this.#work = new LinkWork(env, store, identity, config, host);
    this.#state = offline(config, identity.replica);
    this.#joiner = new FrameJoiner(config.limits);
  }

  get state(): ReplicaState {
    return this.#state;
  }

  /** True where deltas can be sent, and so should be sealed. */
  get canPush(): boolean {
    return 'rights' in this.#state && this.#state.rights.includes('write');
  }

  /** True where others are heard of: what rests upon knowing how they stand may be done [SY25]. */
  get hears(): boolean {
    return 'rights' in this.#state && this.#state.rights.includes('read');
  }

  start(relays: readonly RelayChoice[], room: string, onAttempt: (attempt: Attempt) => void): void {
    this.#transport = this.#env.connect(rankRelays(this.#env.hash, room, relays), room, {
      connecting: () => onAttempt('trying'),
      opened: () => {
        this.#endSession();
        this.#joiner = new FrameJoiner(this.#config.limits);
        this.#heard = new LinkMemory();
        this.#told = new LinkMemory();
        this.post({ kind: 'opened' });
      },
      frame: (bytes) => this.#receiveFrame(bytes),
      closed: ({ final }) => {
        this.#endSession();
        onAttempt(final ? 'refused' : 'failed');
        this.post({ kind: 'closed' });
        if (!final) return;
        this.#transport?.close();
        this.#transport = undefined;
      },
    });
    this.#checkSoon();
  }

  get guard(): Guard {
    return this.#work.guard;
  }

  /** Resolves when what is under way is written and told. */
  async stop(): Promise<void> {
    clearTimeout(this.#checks);
    clearTimeout(this.#headTimer);
    this.#headTimer = undefined;
    this.#transport?.close();
    this.#transport = undefined;
    this.#endSession();
    this.post({ kind: 'closed' });
    await this.#queue;
  }

  /** The own store has changed by what no link brought. */
  checkNow(): void {
    this.#checkSoon();
    this.#check();
  }

  /** Steps an event when all before it are done. */
  post(event: ReplicaEvent): void {
    const session = this.#session;
    this.#queue = this.#queue
      .then(() => {
        this.#stepped = session;
        return this.#process(event);
      })
      .catch((error: unknown) => this.#fail(error));
  }

  sendPresence(presence: Presence): void {
    if (this.hears) this.#send(presence);
  }

  #receiveFrame(bytes: Uint8Array): void {
    try {
      const joined = this.#joiner.add(bytes);
      if (joined === undefined) return;
      const message = bytesToRelayMessage(joined, this.#heard);
      if (GAINS.has(message.kind)) this.#transport?.gained();
      this.post({ kind: 'message', message, nowMs: this.#env.clock.nowMs() });
    } catch (error) {
      // Something of what the relay told is missing now, which only another connection tells anew.
      this.#heard.forget();
      if (isMangroveError(error) && error.code === 'BASE_UNKNOWN') this.#transport?.reconnect();
      else this.#host.fault(errorToFacts(error));
    }
  }

  async #process(event: ReplicaEvent): Promise<void> {
    const { state, effects } = stepReplica(this.#state, event);
    this.#count(countRepairs(this.#repairs, this.#state.kind, effects));
    this.#state = state;
    if (effects.some((effect) => effect.kind === 'accept' && effect.deltas.length > 0)) this.#hasReceived = true;
    for (const effect of effects) {
      const answer = await this.#run(effect);
      if (answer !== undefined) await this.#process(answer);
    }
    const root = 'standing' in event ? event.standing.root : undefined;
    this.#host.changed(this.#state, root);
    if (event.kind === 'opened' || (root !== undefined && !isSame(root, this.#checkedRoot))) {
      this.#checkedRoot = root;
      this.#checkSoon();
    }
    if (this.#state.kind === 'live' && this.#state.settled) this.#scheduleHead(this.#state.position.root);
  }

  /**
   * A store that fails, or a bug of ours: the connection ends here and begins anew, which reads everything again. What still comes
   * on the old one stands on what did not happen, and is passed over. Not at once, as the next attempt may fail the same way.
   */
  #fail(error: unknown): void {
    // Its owner is the owner no more, and stops it.
    if (error instanceof EpochPassed) return;
    this.#host.fault(errorToFacts(error));
    if (!isMangroveError(error)) reportError(error);
    this.#endSession();
    this.#state = stepReplica(this.#state, { kind: 'closed' }).state;
    this.#host.changed(this.#state, undefined);
    if (this.#transport !== undefined) this.#retry = setTimeout(() => this.#transport?.reconnect(), RETRY_AFTER_MS);
  }

  #endSession(): void {
    clearTimeout(this.#retry);
    this.#session.end();
    this.#session = new Session();
  }

  async #run(effect: ReplicaEffect): Promise<ReplicaEvent | undefined> {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.message);
        return undefined;
      case 'greet': {
        const hello = await this.#makeHello(effect, this.#stepped.ended);
        return hello && { kind: 'greeting-ready', hello };
      }
      case 'forget-told':
        this.#told.forget();
        return undefined;
      case 'reconnect':
        if (this.#stepped === this.#session) this.#transport?.reconnect();
        return undefined;
      case 'close':
        this.#transport?.close();
        return undefined;
      default:
        // What came over a connection before it ended is still written, but the next one must not wait for reads that serve nobody.
        if (this.#stepped !== this.#session && isForSending(effect)) return undefined;
        return this.#work.run(effect);
    }
  }

  #send(message: Message): void {
    if (this.#stepped !== this.#session) return;
    for (const frame of messageToFrames(messageToBytes(message, this.#told), this.#config.limits))
      this.#transport?.send(frame);
  }

  /** Undefined when the connection ended first: an application may take its time to find a token, and is asked anew on the next one. */
  async #makeHello(
    { storeId, relayKey, challenge }: Extract<ReplicaEffect, { kind: 'greet' }>,
    ended: Promise<undefined>,
  ): Promise<Hello | undefined> {
    const { room, roomConfig } = this.#config;
    const { signer } = this.#identity;
    const asked = await Promise.race([ended, this.#host.token().then((token) => ({ token }))]);
    if (asked === undefined) return undefined;
    const [cursor, proof] = await Promise.all([
      this.#read(readCursor),
      signer.sign(helloMessage(room.roomId, relayKey, storeId, challenge)),
    ]);
    return {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId: room.roomId,
      config: roomConfigToByte(roomConfig),
      publicKey: signer.publicKey,
      token: asked.token,
      cursor,
      window: this.#config.limits.windowBytes,
      proof,
    };
  }

  /** Something has changed, or may have. */
  #checkSoon(): void {
    this.#calm = 0;
    this.#checkLater();
  }

  /** [AE4] While something is waited for at the shortest pace, so that a stall is noticed. */
  #checkLater(): void {
    const jitter = this.#env.random.u32() / 2 ** 32;
    clearTimeout(this.#checks);
    if (this.#transport === undefined) return;
    this.#checks = setTimeout(
      () => {
        this.#calm = this.#state.kind === 'live' && this.#state.settled ? this.#calm + 1 : 0;
        this.#check();
        this.#checkLater();
      },
      checkDelayMs(this.#calm, jitter, this.#config.limits),
    );
  }

  #count(repairs: Repairs): void {
    if (repairs === this.#repairs) return;
    this.#repairs = repairs;
    this.#host.repaired(repairs);
  }

  #check(): void {
    if (!('rights' in this.#state)) return;
    void this.#read((tx) => standing(tx))
      .then((now) => this.post({ kind: 'check', standing: now, nowMs: this.#env.clock.nowMs() }))
      .catch((error: unknown) => this.#fail(error));
  }

  #scheduleHead(root: Uint8Array): void {
    if (this.#publishedRoot === root) return;
    const everyMs = this.#hasReceived ? HEAD_EVERY_MS : OWN_HEAD_EVERY_MS;
    const sinceMs = this.#env.clock.nowMs() - this.#publishedAtMs;
    const delayMs = Math.max(HEAD_AFTER_MS, Math.min(everyMs, everyMs - sinceMs));
    // A statement that has time does not hold up one that others wait for.
    if (this.#headTimer !== undefined && !(this.#hasReceived && this.#isHeadSlow)) return;
    clearTimeout(this.#headTimer);
    this.#isHeadSlow = !this.#hasReceived;
    this.#headTimer = setTimeout(() => {
      this.#headTimer = undefined;
      void this.#publishHead(root).catch((error: unknown) => this.#fail(error));
    }, delayMs);
  }

  /** Also remembers that roots were equal, for a session that begins offline. */
  async #publishHead(root: Uint8Array): Promise<void> {
    const { room } = this.#config;
    const timeMs = this.#env.clock.nowMs();
    // Strict: what a statement says that this replica holds, others count as safe.
    const { vector, root: rootNow } = await this.#store.transact(
      function* (tx) {
        writeSyncedAt(tx, timeMs);
        return { vector: yield* readVectorRows(tx), root: (yield* readRoot(tx)).root };
      },
      { mode: 'write', durability: 'strict' },
    );
    if (this.#state.kind !== 'live') return;
    this.#publishedRoot = root;
    this.#publishedAtMs = timeMs;
    this.#hasReceived = false;
    // [SY25] Who hears of nobody acknowledges nothing: the others would wait for it with their floors.
    if (!this.canPush || !this.hears) return;
    const claim = {
      replica: this.#identity.replica,
      timeMs,
      root: rootNow,
      headsRoot: headsRootOf(room.hash, vector),
      vector,
    };
    const signature = await this.#identity.signer.sign(headMessage(room.roomId, claim));
    this.#send({ kind: 'head', statement: { ...claim, signature } });
  }

  #read<Result>(plan: Plan<Result>): Promise<Result> {
    return this.#store.transact(plan, { mode: 'read' });
  }
}

function isSame(root: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && equalBytes(root, other);
}
