import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from '../wire/codec.js';
import { FrameJoiner, messageToFrames } from '../wire/frames.js';
import { type MangroveError, isMangroveError } from '../errors.js';
import type { Limits } from '../limits.js';
import { LinkMemory } from '../wire/link-memory.js';
import type { Message, RelayMessage, ReplicaMessage } from '../wire/messages.js';
import { FlowWatch, type Side } from './flow-watch.js';
import type { EventLoop } from './loop.js';
import type { WorldOptions } from './options.js';
import type { Random } from './random.js';
import type { Trace } from './trace.js';

/** After this long without a byte a peer gives the connection up. */
const STALL_MS_MAX = 2_000;
/** Between two messages that a slow reader takes in. */
const SLOW_MS_MAX = 300;
const DAMAGED_MS_MAX = 2_000;
/** What the protocol must bear to meet twice, and what may even come again late. */
const DUPLICATED: ReadonlySet<string> = new Set([
  'push',
  'pull',
  'deltas',
  'ack',
  'head',
  'heads',
  'certificates',
  'caught-up',
]);
const DUPLICATED_LATE: ReadonlySet<string> = new Set(['push', 'head', 'heads', 'certificates']);

export type { Side };

export interface End<Incoming> {
  message(message: Incoming): void;
  /** A frame came that no sender meant. */
  malformed(error: MangroveError): void;
  closed(): void;
}

interface Direction {
  readonly to: Side;
  readonly joiner: FrameJoiner;
  /** What was told in this direction, at its two ends. */
  readonly written: LinkMemory;
  readonly read: LinkMemory;
  isCut: boolean;
  /** Streams keep their order: nothing arrives before what was sent before it. */
  lastMs: number;
  /** Sent and not yet taken in. */
  waitingBytes: number;
}

export interface Wires {
  readonly loop: EventLoop;
  readonly random: Random;
  readonly trace: Trace;
  readonly limits: Limits;
  /** `sendBufferBytesMax`: what may wait on the way to a replica before its relay lets the connection go. */
  options(): Pick<
    WorldOptions,
    'dropRatio' | 'duplicateRatio' | 'reorder' | 'latencyMsMax' | 'flipRatio' | 'sendBufferBytesMax'
  >;
  /** Until when a direction of this replica's connections stalls. */
  blockedUntilMs(replica: number, to: Side): number;
  /** Whether this side of this replica's connections takes in one message after the other, with pauses. */
  isSlow(replica: number, to: Side): boolean;
  count(what: string): void;
  sent(message: Message): void;
}

/** One connection: two ordered streams of frames through the real codec, which end together, though not at the same moment. */
export class Connection {
  readonly replica: number;
  readonly #wires: Wires;
  readonly #ends: { replica: End<RelayMessage>; relay: End<ReplicaMessage> };
  readonly #directions: Record<Side, Direction>;
  readonly #isOpen: Record<Side, boolean> = { replica: true, relay: true };
  readonly #watch: FlowWatch | undefined;

  constructor(wires: Wires, replica: number, ends: { replica: End<RelayMessage>; relay: End<ReplicaMessage> }) {
    this.#wires = wires;
    this.replica = replica;
    // Where bits flip, a side may be told anything of the other's window.
    this.#watch = wires.options().flipRatio === 0 ? new FlowWatch(wires.limits) : undefined;
    this.#ends = ends;
    const direction = (to: Side): Direction => ({
      to,
      joiner: new FrameJoiner(wires.limits),
      written: new LinkMemory(),
      read: new LinkMemory(),
      isCut: false,
      lastMs: wires.loop.nowMs,
      waitingBytes: 0,
    });
    this.#directions = { replica: direction('replica'), relay: direction('relay') };
  }

  /** Something of it has ended, though a side may not have noticed yet. */
  get isBroken(): boolean {
    return this.#directions.replica.isCut || this.#directions.relay.isCut;
  }

  send(to: Side, message: Message): void {
    const direction = this.#directions[to];
    if (direction.isCut || !this.#isOpen[other(to)]) return;
    const { random, trace, limits } = this.#wires;
    const { dropRatio, duplicateRatio } = this.#wires.options();
    this.#wires.sent(message);
    this.#watch?.sent(other(to), message);
    if (random.chance(dropRatio)) {
      this.break();
      return;
    }
    const bytes = messageToBytes(message, direction.written);
    trace.add(message.kind, this.replica, bytes.length);
    trace.addBytes(bytes);
    this.#deliver(direction, this.#weather(messageToFrames(bytes, limits)));
    if (!DUPLICATED.has(message.kind) || !random.chance(duplicateRatio)) return;
    const delayMs = DUPLICATED_LATE.has(message.kind) ? random.between(0, 500) : 0;
    // A copy is told like any message: by what was told before it, at the moment it is sent.
    this.#wires.loop.after(delayMs, () => {
      if (direction.isCut || !this.#isOpen[other(to)]) return;
      this.#deliver(direction, messageToFrames(messageToBytes(message, direction.written), limits));
    });
  }

  /** What was told to the relay counts no more: it does not remember it. */
  forgetTold(): void {
    this.#directions.relay.written.forget();
  }

  /** Ends in the middle: what is on the way is lost, and each side notices in its own time. */
  break(): void {
    const { random } = this.#wires;
    this.#cut('replica');
    const lingers = this.#wires.options().reorder && random.chance(0.5);
    if (!lingers) this.#cut('relay');
    const noticedMs = random.between(0, 300);
    this.#closeLater('replica', noticedMs);
    this.#closeLater('relay', lingers ? random.between(noticedMs, 3_000) : random.between(0, 1_000));
  }

  /** One side ends it, or its process stops. What a replica had sent may linger. */
  closeBy(side: Side): void {
    this.#isOpen[side] = false;
    this.#cut(side);
    const { random } = this.#wires;
    const lingers = side === 'replica' && this.#wires.options().reorder && random.chance(0.5);
    if (!lingers) this.#cut(other(side));
    this.#closeLater(other(side), lingers ? random.between(0, 3_000) : random.between(0, 50));
  }

  /** The relay ends it in good order: what it has sent still arrives, unless the connection breaks meanwhile. */
  closeAfterSent(): void {
    this.#isOpen.relay = false;
    this.#cut('relay');
    const { lastMs } = this.#directions.replica;
    this.#closeLater('replica', Math.max(0, lastMs - this.#wires.loop.nowMs) + this.#wires.random.between(1, 50));
  }

  #deliver(direction: Direction, frames: readonly Uint8Array[]): void {
    const { loop, random } = this.#wires;
    const { latencyMsMax } = this.#wires.options();
    const blockedUntilMs = this.#wires.blockedUntilMs(this.replica, direction.to);
    if (blockedUntilMs > loop.nowMs + STALL_MS_MAX) {
      loop.after(STALL_MS_MAX, () => this.break());
      return;
    }
    if (this.#isTooSlow(direction, frames)) {
      this.#wires.count('connections let go: slow reader');
      this.break();
      return;
    }
    const pauseMs = this.#wires.isSlow(this.replica, direction.to) ? random.between(1, SLOW_MS_MAX) : 0;
    const latencyMs = random.between(0, latencyMsMax);
    const arriveMs = Math.max(loop.nowMs + latencyMs, blockedUntilMs, direction.lastMs + pauseMs);
    this.#arriveInParts(direction, frames, arriveMs);
  }

  /** A connection may end between two parts of a message. */
  #arriveInParts(direction: Direction, frames: readonly Uint8Array[], arriveMs: number): void {
    const { loop, random } = this.#wires;
    const beginMs = Math.max(loop.nowMs, direction.lastMs);
    direction.lastMs = arriveMs;
    const head = frames.length > 1 ? random.between(1, frames.length - 1) : 0;
    if (head > 0) {
      loop.after(random.between(beginMs, arriveMs) - loop.nowMs, () => this.#arrive(direction, frames.slice(0, head)));
    }
    loop.after(arriveMs - loop.nowMs, () => this.#arrive(direction, frames.slice(head)));
  }

  /** Nobody keeps bytes without end for a reader that is slower than what it is sent. */
  #isTooSlow(direction: Direction, frames: readonly Uint8Array[]): boolean {
    const waitedBytes = direction.waitingBytes;
    const bytes = sizeOf(frames);
    direction.waitingBytes += bytes;
    const { sendBufferBytesMax } = this.#wires.options();
    return direction.to === 'replica' && waitedBytes > 0 && waitedBytes + bytes > sendBufferBytesMax;
  }

  #arrive(direction: Direction, frames: readonly Uint8Array[]): void {
    direction.waitingBytes -= sizeOf(frames);
    for (const frame of frames) {
      if (direction.isCut || !this.#isOpen[direction.to]) return;
      this.#read(direction, frame)?.();
    }
  }

  /** What is to be done about a frame, undefined while parts are missing. */
  #read(direction: Direction, frame: Uint8Array): (() => void) | undefined {
    const { replica, relay } = this.#ends;
    try {
      const bytes = direction.joiner.add(frame);
      if (bytes === undefined) return undefined;
      if (direction.to === 'relay') {
        const message = bytesToReplicaMessage(bytes, direction.read);
        return () => relay.message(message);
      }
      const message = bytesToRelayMessage(bytes, direction.read);
      return () => replica.message(message);
    } catch (error) {
      if (!isMangroveError(error)) throw error;
      direction.read.forget();
      this.#wires.count(`malformed at the ${direction.to}`);
      return () => this.#ends[direction.to].malformed(error);
    }
  }

  /** Now and then a bit of a message is not what was sent. */
  #weather(frames: readonly Uint8Array[]): readonly Uint8Array[] {
    const { random } = this.#wires;
    if (!random.chance(this.#wires.options().flipRatio)) return frames;
    this.#wires.count('bits flipped');
    // What damages one message does not carry on for long; until then both sides bear what came of it.
    this.#wires.loop.after(random.between(0, DAMAGED_MS_MAX), () => this.break());
    const flipped = random.between(0, frames.length - 1);
    return frames.map((frame, i) => (i === flipped ? flipBit(frame, random) : frame));
  }

  #cut(to: Side): void {
    this.#directions[to].isCut = true;
  }

  #closeLater(side: Side, delayMs: number): void {
    this.#wires.loop.after(delayMs, () => {
      if (!this.#isOpen[side]) return;
      this.#isOpen[side] = false;
      this.#cut(side);
      this.#ends[side].closed();
    });
  }
}

function flipBit(frame: Uint8Array, random: Random): Uint8Array {
  const flipped = frame.slice();
  const at = random.between(0, frame.length - 1);
  flipped[at] = (flipped[at] as number) ^ (1 << random.between(0, 7));
  return flipped;
}

function sizeOf(frames: readonly Uint8Array[]): number {
  return frames.reduce((bytes, frame) => bytes + frame.length, 0);
}

function other(side: Side): Side {
  return side === 'replica' ? 'relay' : 'replica';
}
