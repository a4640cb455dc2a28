import {
  BRIDGE_BEGINS,
  type BridgeEffect,
  type BridgeEvent,
  type BridgeState,
  bytesToRelayMessage,
  checkDelayMs,
  equalBytes,
  FrameJoiner,
  helloMessage,
  LinkMemory,
  messageToBytes,
  messageToFrames,
  planOpenDiff,
  PROTOCOL_VERSION,
  readReach,
  readRoot,
  readVectorRows,
  type ReplicaMessage,
  roomConfigToByte,
  type Shore,
  stepBridge,
} from '@mangrove/protocol';
import type { OpenedRoom } from '../opened-room.js';
import type { Connection, RelayPorts } from '../ports.js';
import type { Dialled, Peer } from './federation.js';

/** The first look whether roots are equal comes sooner than the others. */
const FIRST_CHECK_MS = 300;
/** Messages of a peer that wait for the own relay, in bytes: above that its socket is not read. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
const NO_STORE = new Uint8Array(8);

/** The room that a bridge belongs to. */
export interface BridgeHost {
  readonly name: string;
  readonly ports: RelayPorts;
  readonly opened: OpenedRoom;
  /** A connection to the own room, as a socket would be one. */
  enter(connection: Connection): HomeLink;
  /** Whether this peer is connected to the room by itself already, and one of the two is enough: the other one's. */
  isReached(relayKey: Uint8Array): boolean;
  /** It is over: `again` where it is worth trying later. */
  ended(bridge: Bridge, again: boolean): void;
  changed(bridge: Bridge): void;
}

export interface HomeLink {
  receive(frame: Uint8Array): Promise<void> | undefined;
  closed(): void;
}

/** One end of a bridge: what turns messages into frames and back. */
class End {
  readonly heard = new LinkMemory();
  readonly told = new LinkMemory();
  readonly joiner: FrameJoiner;

  constructor(limits: RelayPorts['limits']) {
    this.joiner = new FrameJoiner(limits);
  }
}

/** Runs the steps of one bridge: it decides nothing. */
export class Bridge {
  readonly peer: Peer;
  readonly #host: BridgeHost;
  readonly #ends: Readonly<Record<Shore, End>>;
  readonly #away: Dialled;
  #home: HomeLink | undefined;
  #state: BridgeState = BRIDGE_BEGINS;
  #queue: Promise<void> = Promise.resolve();
  #waitingBytes = 0;
  #isClosed = false;
  #check: ReturnType<typeof setTimeout> | undefined;
  #calm = 0;
  /** The key of the relay on the other side, once it has said it. */
  peerKey: Uint8Array | undefined;

  constructor(host: BridgeHost, peer: Peer) {
    const { federation, limits } = host.ports;
    this.#host = host;
    this.peer = peer;
    this.#ends = { home: new End(limits), away: new End(limits) };
    if (federation === undefined) throw new Error('a bridge without a federation');
    this.#away = federation.dial(peer.url, host.name, {
      frame: (bytes) => this.#frame('away', bytes),
      closed: (code, reason) => this.#lost(code, reason),
    });
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  get isSettled(): boolean {
    return this.#state.isSettled;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#check);
    this.#away.close();
    this.#home?.closed();
  }

  /** Something has changed: roots are worth a look soon. */
  lookSoon(): void {
    if (this.#calm > 0) this.#checkLater(0);
  }

  #end(again: boolean): void {
    if (this.#isClosed) return;
    this.close();
    this.#host.ended(this, again);
  }

  #lost(code: number, reason: string): void {
    const { log } = this.#host.ports;
    log.debug({ room: this.#host.name, peer: this.peer.url, code, reason }, 'peer lost');
    this.#end(true);
  }

  /** [SY17] Both sides are held back by what the other has granted; what needs no credit is held back here. */
  #frame(from: Shore, bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const { heard, joiner } = this.#ends[from];
    try {
      const joined = joiner.add(bytes);
      if (joined === undefined) return;
      const message = bytesToRelayMessage(joined, heard);
      const nowMs = this.#host.ports.clock.nowMs();
      this.#waitingBytes += joined.length;
      if (this.#waitingBytes > WAITING_BYTES_MAX) this.#away.pause();
      this.#post({ kind: 'heard', from, message, nowMs }, joined.length);
    } catch (error) {
      this.#fail(error);
    }
  }

  #post(event: BridgeEvent, bytes = 0): void {
    this.#queue = this.#queue
      .then(() => this.#process(event))
      .then(() => {
        this.#waitingBytes -= bytes;
        if (this.#waitingBytes <= WAITING_BYTES_MAX / 2) this.#away.resume();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#host.ports.log.info({ peer: this.peer.url, reason: String(error) }, 'the link to a peer has failed');
    this.#end(true);
  }

  async #process(event: BridgeEvent): Promise<void> {
    if (this.#isClosed) return;
    const before = this.#state;
    const { state, effects } = stepBridge(before, event, this.#host.ports.limits);
    this.#state = state;
    for (const effect of effects) {
      if (this.#isClosed) return;
      const answer = await this.#run(effect);
      if (answer !== undefined) await this.#process(answer);
    }
    if (state.kind === 'open' && before.kind !== 'open') this.#checkLater(0);
    if (before.isSettled && !state.isSettled) this.lookSoon();
    if (before.kind !== state.kind || before.isSettled !== state.isSettled) this.#host.changed(this);
  }

  async #run(effect: BridgeEffect): Promise<BridgeEvent | undefined> {
    switch (effect.kind) {
      case 'send':
        await this.#send(effect.to, effect.message);
        return undefined;
      case 'greet':
        return this.#greet(effect);
      case 'land':
        this.#land();
        return undefined;
      case 'read-home':
        return this.#host.opened.read(function* (tx) {
          return {
            kind: 'home-read',
            reach: yield* readReach(tx),
            vector: yield* readVectorRows(tx),
            root: (yield* readRoot(tx)).root,
          };
        });
      case 'open-diff': {
        const { ports, opened } = this.#host;
        await ports.turns.take();
        const pass = await opened.read(planOpenDiff(opened.ref, ports.random.bytes(8)));
        return { ...pass, nowMs: ports.clock.nowMs() };
      }
      case 'fault': {
        const { from, code, facts } = effect;
        this.#host.ports.log.info({ room: this.#host.name, peer: this.peer.url, from, code, ...facts }, 'peer fault');
        return undefined;
      }
      case 'close':
        this.#end(true);
        return undefined;
    }
  }

  async #greet({ to, storeId, relayKey, challenge, window }: BridgeEffect & { kind: 'greet' }): Promise<undefined> {
    const { ports, opened } = this.#host;
    const { identity } = ports;
    if (to === 'away') {
      this.peerKey = relayKey;
      // A relay may be told of itself, where all are told the same list.
      if (equalBytes(relayKey, identity.relayKey)) return void this.#end(false);
      if (this.#host.isReached(relayKey)) return void this.#end(true);
    }
    const proof = await identity.sign(helloMessage(opened.ref.roomId, relayKey, storeId, challenge));
    await this.#send(to, {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId: opened.ref.roomId,
      config: roomConfigToByte(opened.config),
      publicKey: identity.relayKey,
      token: to === 'away' ? this.peer.token : ports.federation?.token,
      // By vector: the log of the other would tell what came from here as well.
      cursor: { storeId: NO_STORE, offset: 0, roll: new Uint8Array(8) },
      window,
      proof,
    });
  }

  #land(): void {
    this.#home = this.#host.enter({
      send: (frame) => this.#frame('home', frame),
      close: (code, reason) => this.#lost(code, reason),
      bufferedBytes: () => this.#away.bufferedBytes(),
      drained: () => Promise.resolve(),
      origin: undefined,
    });
  }

  /** The own relay may ask to be left in peace for a while, as it would ask a socket. */
  async #send(to: Shore, message: ReplicaMessage): Promise<void> {
    const { limits } = this.#host.ports;
    for (const frame of messageToFrames(messageToBytes(message, this.#ends[to].told), limits)) {
      if (to === 'home') await this.#home?.receive(frame);
      else this.#away.send(frame);
    }
    if (this.#away.bufferedBytes() > limits.sendBufferBytesMax) this.#lost(1013, 'reads too slowly');
  }

  /** [AE4] */
  #checkLater(calm: number): void {
    this.#calm = calm;
    clearTimeout(this.#check);
    if (this.#isClosed) return;
    const { limits, random } = this.#host.ports;
    const jitter = (random.bytes(1)[0] as number) / 256;
    const delayMs = checkDelayMs(calm, jitter, limits);
    const isFirst = calm === 0 && this.#state.agreed === undefined;
    this.#check = setTimeout(
      () => {
        this.#post({ kind: 'check', nowMs: this.#host.ports.clock.nowMs() });
        this.#checkLater(this.#state.isSettled ? this.#calm + 1 : 0);
      },
      isFirst ? Math.min(FIRST_CHECK_MS, delayMs) : delayMs,
    );
    this.#check.unref?.();
  }
}
