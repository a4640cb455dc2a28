import {
  bytesToReplicaMessage,
  CLOSE,
  errorToFacts,
  FrameJoiner,
  type Hello,
  isMangroveError,
  type LinkConfig,
  LinkMemory,
  type Message,
  type RelayEffect,
  type RelayEvent,
  type RelayState,
  type ReplicaId,
  ShownKeys,
  stepSync,
} from '@mangrove/protocol';
import type { Access } from './admission.js';
import { Intake } from './intake.js';
import { DEBT_MS_MAX } from './rates.js';
import type { RoomAllowances } from './allowance.js';
import { framesOf } from './link-frames.js';
import { EVENT_BYTES, LinkQueue } from './link-queue.js';
import type { Connection, RelayPorts } from './ports.js';
import { recallMemory, recallState, type RememberedLink, rememberLink } from './remembered.js';

/** Bytes of messages that may wait on one link before its socket is asked to read no further. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** When it is worth looking whether a full room has a place. */
const FULL_MS = 5_000;
/** Enough in the send buffer to keep any network busy until the next page is read. */
const READ_AHEAD_BYTES = 1024 * 1024;
/** Standard codes: the client comes back by itself. */
export const RETRY = { goingAway: 1001, policy: 1008, internalFault: 1011, tryAgainLater: 1013 } as const;

export type Answer = RelayEvent | undefined | Promise<RelayEvent | undefined>;

/** The room, as a link needs it. */
export interface LinkHost {
  readonly ports: RelayPorts;
  /** While true nothing more is taken from the socket. */
  readonly isClosing: boolean;
  readonly allowances: RoomAllowances;
  /** Which room a hello is about: known only then, as a room's id is bound to its configuration. */
  configFor(hello: Hello | undefined): LinkConfig;
  /** Runs an effect that is more than a `send`; its answer is stepped before the next event. */
  run(link: Link, effect: Exclude<RelayEffect, { kind: 'send' | 'close' }>): Answer;
  left(link: Link): void;
}

/**
 * One connection: frames become events, events are stepped one at a time, effects are run in order. Commits are the one effect
 * that is not waited for, so that pushes of one connection share a transaction with each other and with those of others.
 */
export class Link {
  readonly connection: Connection;
  /** In the order in which the connections of a room were opened. */
  readonly number: number;
  readonly openedAtMs: number;
  readonly shown: ShownKeys;
  /** Once it was admitted. */
  access: Access | undefined;
  /** While it is admitted and not told all yet. */
  behindSinceMs: number | undefined;
  readonly #host: LinkHost;
  #joiner: FrameJoiner;
  /** What was told over this connection, by the peer and to it [SY21]. */
  readonly #heard: LinkMemory;
  readonly #told = new LinkMemory();
  #state: RelayState;
  #replica: ReplicaId | undefined;
  readonly #queue = new LinkQueue();
  readonly #intake: Intake;
  #isRunning = false;
  #isHeld = false;
  #ran = Promise.resolve();
  #changes = 0;
  #isOpen = true;
  #isReadingLog = false;
  #waitingBytes = 0;
  #resume: (() => void) | undefined;
  /** The pushes that are not on disk yet; never rejects. */
  #commits: Promise<unknown> = Promise.resolve();
  /** Up to here the log was read to the peer. */
  #readTo = 0;

  constructor(host: LinkHost, connection: Connection, number: number, remembered?: RememberedLink) {
    const { limits, clock } = host.ports;
    const config = host.configFor(undefined);
    this.#host = host;
    this.connection = connection;
    this.number = number;
    this.openedAtMs = remembered?.openedAtMs ?? clock.nowMs();
    this.access = remembered?.access;
    this.shown = new ShownKeys(limits.shownKeysMax);
    this.#intake = new Intake(host.ports, host.allowances, {
      tell: (facts) => this.#send({ kind: 'fault', code: 'RATE_LIMITED', facts }),
      end: () => this.shut(RETRY.tryAgainLater, 'RATE_LIMITED'),
    });
    this.shown.add(config.room, remembered?.shown ?? []);
    this.#heard = recallMemory(remembered?.heard);
    this.#readTo = remembered?.readTo ?? 0;
    this.#state = recallState(remembered?.state, config, host.ports);
    if ('replica' in this.#state) {
      this.#replica = this.#state.replica;
      this.#intake.isOf(this.#replica, this.#state.isPeer);
    }
    // Nobody has said who they are yet: a hello fits into a frame, and nothing larger is gathered for strangers.
    const messageBytesMax = 'rights' in this.#state ? limits.messageBytesMax : limits.frameBytesMax;
    this.#joiner = new FrameJoiner({ ...limits, messageBytesMax });
  }

  /** Rises with whatever {@link remember} tells of. */
  get changes(): number {
    return this.#changes;
  }

  /** For a runtime that forgets: resolves when nothing is under way on this connection. */
  async settled(): Promise<void> {
    for (;;) {
      const commits = this.#commits;
      await this.#ran;
      await commits;
      if (!this.#isRunning && this.#commits === commits) return;
    }
  }

  /** What it takes to go on with this connection after forgetting all else; undefined in the middle of something. */
  remember(): RememberedLink | undefined {
    if (this.#isRunning || !this.#joiner.isWhole) return undefined;
    return rememberLink(this, this.#state, this.#heard, this.#readTo);
  }

  get challenge(): Uint8Array {
    return this.#state.challenge;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whose connection it is, once it was admitted. */
  get replica(): ReplicaId | undefined {
    return this.#replica;
  }

  /** What waits here for its peer to read it, or for its turn. */
  get queuedBytes(): number {
    return this.#waitingBytes + this.#queue.toldBytes + this.connection.bufferedBytes();
  }

  /** Whether deltas that were committed concern this link: what a catch-up is still going to read need not wait here. */
  get takesCommits(): boolean {
    return this.#state.kind === 'live' || (this.#state.kind === 'replaying' && this.#isReadingLog);
  }

  /** True too while a push is looked at: it may be about to be fetched. */
  get isFetching(): boolean {
    return 'flow' in this.#state && (this.#state.flow.fetches.length > 0 || this.#isRunning);
  }

  /**
   * Takes a frame as it came. A promise asks the runtime to read no further from the socket until it resolves; a runtime that
   * cannot hold a socket back may ignore it.
   */
  receive(frame: Uint8Array): Promise<void> | undefined {
    if (!this.#isOpen || this.#host.isClosing) return undefined;
    this.#changes++;
    const { counters, clock } = this.#host.ports;
    this.#intake.frame(frame.length);
    try {
      const bytes = this.#joiner.add(frame);
      if (bytes === undefined) return this.#hold();
      const message = bytesToReplicaMessage(bytes, this.#heard);
      counters.add('messages_received');
      this.#intake.message(message);
      this.#enqueue({ kind: 'message', message, nowMs: clock.nowMs() }, bytes.length + EVENT_BYTES);
    } catch (error) {
      if (!isMangroveError(error)) this.fail(error);
      else {
        counters.add('messages_malformed');
        this.#heard.forget();
        const { code, facts } = errorToFacts(error);
        this.#enqueue({ kind: 'malformed', code, facts: facts as Record<string, string | number> }, EVENT_BYTES);
      }
    }
    return this.#hold();
  }

  /** What the runtime answers by itself counts as a message too; asks it to wait as {@link receive} does. */
  heard(bytes: number): Promise<void> | undefined {
    this.#intake.frame(bytes);
    return this.#hold();
  }

  deliver(event: RelayEvent): void {
    if (!this.#isOpen) return;
    if (!this.#isRunning) {
      this.#enqueue(event, 0);
      return;
    }
    this.#queue.tell(event);
    if (this.#queue.toldBytes > this.#host.ports.limits.sendBufferBytesMax) this.#shutSlow();
  }

  /** The connection has ended. What has come before is still processed: a client may push and leave. */
  closed(): void {
    if (this.#isOpen) this.#enqueue({ kind: 'closed' }, 0);
    this.#isOpen = false;
    this.#host.left(this);
  }

  /** Lets the connection go; the peer may come back and resumes where it was. */
  shut(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#queue.clear();
    this.#state = stepSync(this.#state, { kind: 'closed' }).state;
    this.#host.ports.log.debug({ replica: this.#replica, code, reason }, 'connection closed');
    this.connection.close(code, reason);
    this.#release(this.#waitingBytes);
    this.#host.left(this);
  }

  /** It may not be here any more, and does not come back by itself. */
  revoke(): void {
    if (!this.#isOpen) return;
    this.#host.ports.counters.add('connections_revoked');
    this.#send({ kind: 'fault', code: 'UNAUTHORIZED', facts: { reason: 'the access was revoked' } });
    this.shut(CLOSE.revoked, 'revoked');
  }

  /** [SY26] The room has as many connections as it may have. */
  refuse(): void {
    this.#host.ports.counters.add('connections_limited');
    this.#send({
      kind: 'fault',
      code: 'RATE_LIMITED',
      facts: { scope: 'room', what: 'connections', retryAfterMs: FULL_MS },
    });
    this.shut(RETRY.tryAgainLater, 'RATE_LIMITED');
  }

  /** A bug or a broken disk costs the connection, never the process. */
  fail(error: unknown): void {
    if (!this.#isOpen && isMangroveError(error)) return;
    // Another relay of the fleet may reach it, and this one may soon.
    if (isMangroveError(error) && error.code === 'ENGINE_UNAVAILABLE') {
      this.shut(RETRY.tryAgainLater, error.code);
      return;
    }
    const { ports } = this.#host;
    ports.report(error);
    ports.counters.add('connections_failed');
    this.shut(RETRY.internalFault, 'internal fault');
  }

  /** A push is under way: reads that follow it on this link wait for it, so that they see it. */
  track(commit: Promise<void>, bytes: number): void {
    this.#waitingBytes += bytes;
    const settled = commit.finally(() => this.#release(bytes));
    this.#commits = Promise.all([this.#commits, settled]);
  }

  /** Resolves when the peer has read most of what it was sent: before the next page of a catch-up. */
  drained(): Promise<void> {
    return this.connection.drained(Math.min(READ_AHEAD_BYTES, this.#host.ports.limits.sendBufferBytesMax / 4));
  }

  committed(): Promise<unknown> {
    return this.#commits;
  }

  /** [SY26] One promise at a time: while the runtime waits, what it had read already still comes. */
  #hold(): Promise<void> | undefined {
    const debtMs = this.#intake.look();
    if (this.#isHeld || !this.#isOpen || (debtMs === 0 && this.#waitingBytes <= WAITING_BYTES_MAX)) return undefined;
    this.#isHeld = true;
    return this.#untilFree(Math.min(debtMs, DEBT_MS_MAX)).finally(() => {
      this.#isHeld = false;
    });
  }

  async #untilFree(debtMs: number): Promise<void> {
    if (debtMs > 0) await new Promise<void>((resolve) => void setTimeout(resolve, debtMs).unref?.());
    while (this.#isOpen && this.#waitingBytes > WAITING_BYTES_MAX) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
    }
  }

  #enqueue(event: RelayEvent, bytes: number): void {
    this.#queue.add(event, bytes);
    this.#waitingBytes += bytes;
    if (!this.#isRunning) this.#ran = this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let next = this.#queue.next(); next !== undefined; next = this.#queue.next()) {
        const answer = this.#step(next.event);
        if (answer !== undefined) await this.#answer(answer);
        this.#release(next.bytes);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Runs to its end what an event has set off; a long catch-up is many rounds. */
  async #answer(first: Promise<readonly RelayEvent[]>): Promise<void> {
    const events = [...(await first)];
    for (let event = events.shift(); event !== undefined; event = events.shift()) {
      const answer = this.#step(event);
      if (answer !== undefined) events.unshift(...(await answer));
    }
  }

  /** What was committed while the log was read is in what was read: telling it again would take the peer's position back. */
  #hasRead({ deltas, position }: RelayEvent & { kind: 'committed' }): boolean {
    return deltas.length > 0 ? position.offset <= this.#readTo : position.offset < this.#readTo;
  }

  /** Undefined when all is done already, which is so for whatever is only sent. */
  #step(event: RelayEvent): Promise<readonly RelayEvent[]> | undefined {
    if (event.kind === 'committed' && this.#hasRead(event)) return undefined;
    if (event.kind === 'overtaken' && event.after < this.#readTo) event = { ...event, after: this.#readTo };
    if (event.kind === 'log-read') {
      this.#readTo = event.end.offset;
      this.#isReadingLog = false;
    }
    if (event.kind === 'message' && event.message.kind === 'hello' && this.#state.kind === 'greeting')
      this.#state = { ...this.#state, config: this.#host.configFor(event.message) };
    const { state, effects } = stepSync(this.#state, event);
    if ('rights' in state && !('rights' in this.#state)) this.#joiner = new FrameJoiner(this.#host.ports.limits);
    this.#state = state;
    this.#changes++;
    if (state.kind !== 'replaying') this.behindSinceMs = undefined;
    else this.behindSinceMs ??= this.#host.ports.clock.nowMs();
    if ('replica' in state && this.#replica === undefined) {
      this.#replica = state.replica;
      this.#intake.isOf(state.replica, state.isPeer);
    }
    const isWaiting = effects.some(({ kind }) => kind !== 'send' && kind !== 'close');
    if (isWaiting) return this.#runAll(effects);
    for (const effect of effects) this.#runAtOnce(effect);
    return undefined;
  }

  async #runAll(effects: readonly RelayEffect[]): Promise<readonly RelayEvent[]> {
    const answers: RelayEvent[] = [];
    for (const effect of effects) {
      if (effect.kind === 'send' || effect.kind === 'close') {
        this.#runAtOnce(effect);
        continue;
      }
      if (effect.kind === 'read-log' || effect.kind === 'read-introduction') {
        await this.drained();
        if (!this.#isOpen) return [];
        this.#isReadingLog = effect.kind === 'read-log';
      }
      const answer = await this.#host.run(this, effect);
      if (answer !== undefined) answers.push(answer);
    }
    return answers;
  }

  #runAtOnce(effect: RelayEffect): void {
    if (effect.kind === 'send') this.#send(effect.message);
    else if (effect.kind === 'close') this.shut(effect.code, effect.reason);
  }

  #send(message: Message): void {
    if (!this.#isOpen) return;
    const { counters, limits } = this.#host.ports;
    for (const frame of framesOf(message, limits, this.#told)) {
      counters.add('frames_sent');
      counters.add('bytes_sent', frame.length);
      this.connection.send(frame);
    }
    if (this.connection.bufferedBytes() > limits.sendBufferBytesMax) this.#shutSlow();
  }

  /** It resumes by its cursor when it comes back, which costs less than keeping all of it in memory. */
  #shutSlow(): void {
    this.#host.ports.counters.add('connections_slow');
    this.shut(RETRY.tryAgainLater, 'reads too slowly');
  }

  #release(bytes: number): void {
    this.#waitingBytes -= bytes;
    if (this.#waitingBytes > WAITING_BYTES_MAX / 2 && this.#isOpen) return;
    this.#resume?.();
    this.#resume = undefined;
  }
}
