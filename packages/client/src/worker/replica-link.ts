import {
  adoptVector,
  bytesToRelayMessage,
  errorToFacts,
  type ErrorFacts,
  FrameJoiner,
  headMessage,
  headsRootOf,
  helloMessage,
  type HeadStatement,
  type Hello,
  isMangroveError,
  type JournalRow,
  type LinkConfig,
  MangroveError,
  type Message,
  messageToBytes,
  messageToFrames,
  offline,
  type Peer,
  planFor,
  planOpenDiff,
  type Plan,
  type Presence,
  PROTOCOL_VERSION,
  readCursor,
  readNumber,
  readReach,
  readOutboxPage,
  readRoot,
  readVectorRows,
  dropSettled,
  type Refused,
  type ReplicaEffect,
  type ReplicaEvent,
  type ReplicaState,
  roomConfigToByte,
  type Store,
  stepSync,
  trieKeyOf,
  writeCursor,
  writeSyncedAt,
} from '@mangrove/protocol';
import type { Environment, Identity } from '../environment.js';
import type { Transport } from '../transports/transport.js';
import { Certifier } from './certifier.js';
import { acknowledgeAndStand, drawSalt, keepHead, standing, withdrawAndStand } from './link-plans.js';
import { type Received, receive } from './receive.js';
import { Session } from './session.js';
import type { Attempt } from './status.js';

/** What the link tells the room it belongs to. */
export interface LinkHost {
  token(): Promise<string | undefined>;
  received(received: Received): void;
  acknowledged(seqs: readonly number[]): void;
  /** `seqs`: the refused one and what it takes with it; `rows`: what it stood for, back in the journal. */
  withdrawn(refused: Refused, seqs: readonly number[], rows: readonly JournalRow[]): void;
  head(statement: HeadStatement): void;
  show(message: Presence | Peer): void;
  fault(error: ErrorFacts): void;
  /** Another copy of this profile has used our dots up to here: a new identity is needed [CX7]. */
  identitySpent(lastSeq: number): void;
  /** After every step: the state, and the root where it is known anew. */
  changed(state: ReplicaState, root: Uint8Array | undefined): void;
}

const OUTBOX_PAGE = { deltas: 256, bytes: 1024 * 1024 };
/** Roots are looked at this often though nothing came: the relay may have lost something. */
const CHECK_EVERY_MS = 15_000;
/** At most one head statement in this time: it is a few hundred bytes to everybody. */
const HEAD_EVERY_MS = 1_000;
/** After a fault of ours: long enough not to spin, short enough not to be noticed much. */
const RETRY_AFTER_MS = 2_000;

/**
 * Runs the step function of one room's connection: events in, one at a time; effects out, in order. It decides nothing.
 */
export class ReplicaLink {
  readonly #env: Environment;
  readonly #store: Store;
  readonly #identity: Identity;
  readonly #config: LinkConfig;
  readonly #host: LinkHost;
  readonly #certifier: Certifier;
  #state: ReplicaState;
  #transport: Transport | undefined;
  #joiner: FrameJoiner;
  #queue: Promise<void> = Promise.resolve();
  #checks: ReturnType<typeof setInterval> | undefined;
  #headTimer: ReturnType<typeof setTimeout> | undefined;
  #publishedRoot: Uint8Array | undefined;
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
    this.#certifier = new Certifier(env.verifier, store, config.room);
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

  start(relays: readonly string[], room: string, onAttempt: (attempt: Attempt) => void): void {
    this.#checks = setInterval(() => this.#check(), CHECK_EVERY_MS);
    this.#transport = this.#env.connect(relays, room, {
      connecting: () => onAttempt('trying'),
      opened: () => {
        this.#endSession();
        this.#joiner = new FrameJoiner(this.#config.limits);
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
  }

  /** Resolves when what is under way is written and told. */
  async stop(): Promise<void> {
    clearInterval(this.#checks);
    clearTimeout(this.#headTimer);
    this.#headTimer = undefined;
    this.#transport?.close();
    this.#transport = undefined;
    this.#endSession();
    this.post({ kind: 'closed' });
    await this.#queue;
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
    if ('rights' in this.#state) this.#send(presence);
  }

  #receiveFrame(bytes: Uint8Array): void {
    try {
      const message = this.#joiner.add(bytes);
      if (message !== undefined)
        this.post({ kind: 'message', message: bytesToRelayMessage(message), nowMs: this.#env.clock.nowMs() });
    } catch (error) {
      this.#host.fault(errorToFacts(error));
    }
  }

  async #process(event: ReplicaEvent): Promise<void> {
    const { state, effects } = stepSync(this.#state, event);
    this.#state = state;
    for (const effect of effects) {
      const answer = await this.#run(effect);
      if (answer !== undefined) await this.#process(answer);
    }
    const root = 'standing' in event ? event.standing.root : undefined;
    this.#host.changed(this.#state, root);
    if (this.#state.kind === 'live' && this.#state.settled) this.#scheduleHead(this.#state.position.root);
  }

  /**
   * A store that fails, or a bug of ours: the connection ends here and begins anew, which reads everything again. What still comes
   * on the old one stands on what did not happen, and is passed over. Not at once, as the next attempt may fail the same way.
   */
  #fail(error: unknown): void {
    this.#host.fault(errorToFacts(error));
    if (!isMangroveError(error)) reportError(error);
    this.#endSession();
    this.#state = stepSync(this.#state, { kind: 'closed' }).state;
    this.#host.changed(this.#state, undefined);
    if (this.#transport !== undefined) this.#retry = setTimeout(() => this.#transport?.reconnect(), RETRY_AFTER_MS);
  }

  #endSession(): void {
    clearTimeout(this.#retry);
    this.#session.end();
    this.#session = new Session();
  }

  async #run(effect: ReplicaEffect): Promise<ReplicaEvent | undefined> {
    const { room } = this.#config;
    switch (effect.kind) {
      case 'send':
        this.#send(effect.message);
        return undefined;
      case 'greet': {
        const hello = await this.#makeHello(effect, this.#stepped.ended);
        return hello && { kind: 'greeting-ready', hello };
      }
      case 'trust':
        await this.#certifier.trust(effect.issuer, effect.certificates);
        return undefined;
      case 'check-identity':
        return this.#checkIdentity(effect.lastSeq);
      case 'accept': {
        const nowMs = this.#env.clock.nowMs();
        const from = { room, replica: this.#identity.replica, certifier: this.#certifier };
        const received = await receive(this.#store, from, effect.deltas, effect.cursor, nowMs);
        this.#host.received(received);
        return {
          kind: 'accepted',
          standing: received.standing,
          forged: received.rejected.map(({ delta }) => trieKeyOf(delta)),
        };
      }
      case 'acknowledge': {
        const { replica } = this.#identity;
        const { seqs, cursor } = effect;
        const { done, standing } = await this.#write((tx) => acknowledgeAndStand(tx, room, replica, seqs, cursor));
        if (done.length > 0) this.#host.acknowledged(done);
        return { kind: 'acknowledged', standing };
      }
      case 'adopt': {
        const nowMs = this.#env.clock.nowMs();
        await this.#write(function* (tx) {
          yield* adoptVector(tx, effect.vector);
          writeCursor(tx, effect.cursor);
          writeSyncedAt(tx, nowMs);
        });
        return undefined;
      }
      case 'read-certificates':
        return { kind: 'certificates-read', certificates: await this.#certifier.certificates() };
      case 'read-vector':
        return { kind: 'vector-read', vector: await this.#read(readReach) };
      case 'read-outbox':
        return this.#readOutbox(effect.fromSeq);
      case 'open-diff':
        return this.#read(planOpenDiff(room, drawSalt(this.#env.random)));
      case 'read-beyond':
      case 'answer-diff':
        return this.#read(planFor(room, effect));
      case 'store-head':
        if (await this.#keepHead(effect.statement)) this.#host.head(effect.statement);
        return undefined;
      case 'withdraw':
        return this.#withdraw(effect.refused);
      case 'show':
        this.#host.show(effect.message);
        return undefined;
      case 'fault':
        this.#host.fault(errorToFacts(new MangroveError(effect.code, effect.facts)));
        return undefined;
      case 'close':
        this.#transport?.close();
        return undefined;
    }
  }

  #send(message: Message): void {
    if (this.#stepped !== this.#session) return;
    for (const frame of messageToFrames(messageToBytes(message), this.#config.limits)) this.#transport?.send(frame);
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
      proof,
    };
  }

  /** The relay knows deltas of ours that we do not: this profile is a copy, or was restored. */
  async #checkIdentity(lastSeq: number): Promise<undefined> {
    const seq = await this.#read((tx) => readNumber(tx, 'seq'));
    if (lastSeq > seq) this.#host.identitySpent(lastSeq);
    return undefined;
  }

  /** An own delta goes back into the journal; of a repaired one of others only the reason is shown. */
  async #withdraw(refused: Refused): Promise<ReplicaEvent> {
    const { replica } = this.#identity;
    const nowMs = this.#env.clock.nowMs();
    const { room } = this.#config;
    const {
      rows,
      seqs,
      done,
      standing: now,
    } = await this.#store.transact((tx) => withdrawAndStand(tx, room, replica, refused, nowMs), {
      mode: 'write',
      durability: 'strict',
    });
    if (done.length > 0) this.#host.acknowledged(done);
    if (rows !== undefined) this.#host.withdrawn(refused, seqs, rows);
    else if (refused.replica !== replica)
      this.#host.fault(errorToFacts(new MangroveError(refused.code, { ...refused.facts, replica: refused.replica })));
    if (refused.replica === replica && refused.code === 'DOT_REUSED') this.#host.identitySpent(refused.seq);
    return { kind: 'acknowledged', standing: now };
  }

  async #readOutbox(fromSeq: number): Promise<ReplicaEvent> {
    const { replica } = this.#identity;
    if (fromSeq === 1) {
      const settled = await this.#write((tx) => dropSettled(tx, this.#config.room, replica));
      if (settled.length > 0) this.#host.acknowledged(settled);
    }
    const page = await this.#read((tx) => readOutboxPage(tx, this.#config.room, replica, fromSeq, OUTBOX_PAGE));
    return { kind: 'outbox-read', deltas: page.deltas.map((delta) => delta.bytes), nextSeq: page.nextSeq };
  }

  /** What a relay tells of ourselves is what we said before. */
  async #keepHead(statement: HeadStatement): Promise<boolean> {
    const isOfOther = statement.replica !== this.#identity.replica;
    return isOfOther && (await this.#certifier.verifyHead(statement)) && this.#write((tx) => keepHead(tx, statement));
  }

  #check(): void {
    if (this.#state.kind !== 'live') return;
    void this.#read((tx) => standing(tx))
      .then((now) => this.post({ kind: 'check', standing: now }))
      .catch((error: unknown) => this.#fail(error));
  }

  #scheduleHead(root: Uint8Array): void {
    if (this.#headTimer !== undefined || this.#publishedRoot === root) return;
    this.#headTimer = setTimeout(() => {
      this.#headTimer = undefined;
      void this.#publishHead(root).catch((error: unknown) => this.#fail(error));
    }, HEAD_EVERY_MS / 4);
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
    if (!this.canPush) return;
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

  /** What can be fetched or asked for again need not be behind a barrier. */
  #write<Result>(plan: Plan<Result>): Promise<Result> {
    return this.#store.transact(plan, { mode: 'write', durability: 'relaxed' });
  }
}
