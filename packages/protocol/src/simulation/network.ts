import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from '../wire/codec.js';
import { FrameJoiner, messageToFrames } from '../wire/frames.js';
import type { Limits } from '../limits.js';
import type { Message, RelayMessage, ReplicaMessage } from '../wire/messages.js';
import type { EventLoop } from './loop.js';
import type { WorldOptions } from './options.js';
import type { Random } from './random.js';
import type { Trace } from './trace.js';

/** After this long without a byte a peer gives the connection up. */
const STALL_MS_MAX = 2_000;
/** What the protocol must bear to meet twice, and what may even come again late. */
const DUPLICATED: ReadonlySet<string> = new Set(['push', 'pull', 'deltas', 'ack', 'head', 'certificates', 'caught-up']);
const DUPLICATED_LATE: ReadonlySet<string> = new Set(['push', 'head', 'certificates']);

export type Side = 'replica' | 'relay';

export interface End<Incoming> {
  message(message: Incoming): void;
  closed(): void;
}

interface Direction {
  readonly to: Side;
  readonly joiner: FrameJoiner;
  isCut: boolean;
  /** Streams keep their order: nothing arrives before what was sent before it. */
  lastMs: number;
}

export interface Wires {
  readonly loop: EventLoop;
  readonly random: Random;
  readonly trace: Trace;
  readonly limits: Limits;
  options(): Pick<WorldOptions, 'dropRatio' | 'duplicateRatio' | 'reorder' | 'latencyMsMax'>;
  /** Until when a direction of this replica's connections stalls. */
  blockedUntilMs(replica: number, to: Side): number;
  sent(message: Message): void;
}

/** One connection: two ordered streams of frames through the real codec, which end together, though not at the same moment. */
export class Connection {
  readonly replica: number;
  readonly #wires: Wires;
  readonly #ends: { replica: End<RelayMessage>; relay: End<ReplicaMessage> };
  readonly #directions: Record<Side, Direction>;
  readonly #isOpen: Record<Side, boolean> = { replica: true, relay: true };

  constructor(wires: Wires, replica: number, ends: { replica: End<RelayMessage>; relay: End<ReplicaMessage> }) {
    this.#wires = wires;
    this.replica = replica;
    this.#ends = ends;
    const direction = (to: Side): Direction => ({
      to,
      joiner: new FrameJoiner(wires.limits),
      isCut: false,
      lastMs: wires.loop.nowMs,
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
    if (random.chance(dropRatio)) {
      this.break();
      return;
    }
    const bytes = messageToBytes(message);
    trace.add(message.kind, this.replica, bytes.length);
    trace.addBytes(bytes);
    const frames = messageToFrames(bytes, limits);
    this.#deliver(direction, frames, 0);
    if (DUPLICATED.has(message.kind) && random.chance(duplicateRatio)) {
      this.#deliver(direction, frames, DUPLICATED_LATE.has(message.kind) ? random.between(0, 500) : 0);
    }
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

  #deliver(direction: Direction, frames: readonly Uint8Array[], delayMs: number): void {
    const { loop, random } = this.#wires;
    const { latencyMsMax } = this.#wires.options();
    const blockedUntilMs = this.#wires.blockedUntilMs(this.replica, direction.to);
    if (blockedUntilMs > loop.nowMs + STALL_MS_MAX) {
      loop.after(STALL_MS_MAX, () => this.break());
      return;
    }
    const latencyMs = random.between(0, latencyMsMax);
    const arriveMs = Math.max(loop.nowMs + latencyMs + delayMs, blockedUntilMs);
    // A copy that comes late is a message that was sent late: it holds up nothing that follows.
    const atMs =
      delayMs > 0 ? Math.max(arriveMs, direction.lastMs) : (direction.lastMs = Math.max(arriveMs, direction.lastMs));
    loop.after(atMs - loop.nowMs, () => this.#arrive(direction, frames));
  }

  #arrive(direction: Direction, frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      if (direction.isCut || !this.#isOpen[direction.to]) return;
      const bytes = direction.joiner.add(frame);
      if (bytes === undefined) continue;
      if (direction.to === 'relay') this.#ends.relay.message(bytesToReplicaMessage(bytes));
      else this.#ends.replica.message(bytesToRelayMessage(bytes));
    }
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

function other(side: Side): Side {
  return side === 'replica' ? 'relay' : 'replica';
}
