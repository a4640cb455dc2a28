import type { ReplicaId, ReplicaMessage } from '@mangrove/protocol';
import type { Allowance, RoomAllowances, Scope } from './allowance.js';
import type { RelayPorts } from './ports.js';
import { type Counted, DEBT_MS_MAX, type Debt } from './rates.js';

/** An author who is held back is told so this often. */
const TELL_EVERY_MS = 5_000;
/** Nobody notices less. */
const TELL_MS_MIN = 250;
/** Each of them is verified, where the connection vouches for the own ones. */
const REPAIR_WEIGHT = 4;

const WORDS: Readonly<Record<Counted, string>> = {
  messages: 'messages',
  bytes: 'bytes',
  deltas: 'deltas',
  presenceBytes: 'bytes of presence',
};

export interface IntakeHost {
  tell(facts: Readonly<Record<string, string | number>>): void;
  /** What has come is answered; the peer may come back. */
  end(): void;
}

/** [SY26] Counts what comes over one connection, against its own rates, those of its replica and those of the room. */
export class Intake {
  readonly #ports: RelayPorts;
  readonly #room: RoomAllowances;
  readonly #host: IntakeHost;
  #allowances: readonly Allowance[];
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: RelayPorts, room: RoomAllowances, host: IntakeHost) {
    this.#ports = ports;
    this.#room = room;
    this.#host = host;
    this.#allowances = room.ofConnection();
  }

  /** [FD5] What comes from another relay was counted there, at who wrote it. */
  isOf(replica: ReplicaId, isPeer: boolean): void {
    this.#allowances = isPeer ? this.#room.ofPeer() : [...this.#allowances, this.#room.ofReplica(replica)];
  }

  frame(bytes: number): void {
    this.#take({ messages: 1, bytes });
  }

  message(message: ReplicaMessage): void {
    if (message.kind === 'push') this.#take({ deltas: message.deltas.length * (message.repair ? REPAIR_WEIGHT : 1) });
    else if (message.kind === 'certificates') this.#take({ deltas: message.certificates.length });
    else if (message.kind === 'presence') this.#take({ presenceBytes: message.state.length });
  }

  /** For how many ms nothing more is to be read. Tells the peer where that is long; who cannot be held back is let go. */
  look(): number {
    const debt = this.#debt();
    if (debt === undefined) return 0;
    const { scope, what, waitMs } = debt;
    const { clock, counters } = this.#ports;
    const nowMs = clock.nowMs();
    // A room owes for what others have sent as well.
    const isOver = scope !== 'room' && waitMs > DEBT_MS_MAX;
    if (isOver || (waitMs >= TELL_MS_MIN && nowMs - this.#toldAtMs >= TELL_EVERY_MS)) {
      this.#toldAtMs = nowMs;
      counters.add('connections_limited');
      this.#host.tell({ scope, what: WORDS[what], retryAfterMs: Math.ceil(waitMs) });
    }
    if (isOver) this.#host.end();
    return waitMs;
  }

  #take(amounts: { messages?: number; bytes?: number; deltas?: number; presenceBytes?: number }): void {
    const nowMs = this.#ports.clock.nowMs();
    const all = { messages: 0, bytes: 0, deltas: 0, presenceBytes: 0, ...amounts };
    for (const allowance of this.#allowances) allowance.take(all, nowMs);
  }

  #debt(): (Debt & { readonly scope: Scope }) | undefined {
    const nowMs = this.#ports.clock.nowMs();
    let longest: (Debt & { readonly scope: Scope }) | undefined;
    for (const allowance of this.#allowances) {
      const debt = allowance.debt(nowMs);
      if (debt !== undefined && debt.waitMs > (longest?.waitMs ?? 0)) longest = { ...debt, scope: allowance.scope };
    }
    return longest;
  }
}
