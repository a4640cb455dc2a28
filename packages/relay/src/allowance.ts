import type { ReplicaId } from '@mangrove/protocol';
import type { Clock } from './ports.js';
import {
  type Amounts,
  type Buckets,
  type Debt,
  debtOf,
  FULL,
  isFull,
  type RateLimits,
  type Rates,
  spend,
} from './rates.js';

export type Scope = 'connection' | 'replica' | 'room';

/** What one connection, replica or room may still send. */
export class Allowance {
  readonly scope: Scope;
  readonly #rates: Rates;
  #buckets: Buckets = FULL;

  constructor(scope: Scope, rates: Rates) {
    this.scope = scope;
    this.#rates = rates;
  }

  take(amounts: Amounts, nowMs: number): void {
    this.#buckets = spend(this.#buckets, this.#rates, amounts, nowMs);
  }

  debt(nowMs: number): Debt | undefined {
    return debtOf(this.#buckets, nowMs);
  }

  isUnused(nowMs: number): boolean {
    return isFull(this.#buckets, nowMs);
  }
}

/** Above this, those that have nothing left to remember are forgotten before another one is kept. */
const REPLICAS_MANY = 1_024;

/** The allowances of a room and of its replicas: these outlive connections, as who comes back at once is still who it was. */
export class RoomAllowances {
  readonly #clock: Clock;
  readonly #rates: RateLimits;
  readonly #room: Allowance;
  readonly #byReplica = new Map<ReplicaId, Allowance>();
  #lookAt = REPLICAS_MANY;

  constructor({ clock, rates }: { readonly clock: Clock; readonly rates: RateLimits }) {
    this.#clock = clock;
    this.#rates = rates;
    this.#room = new Allowance('room', rates.room);
  }

  /** Of a new connection, and of the room that it is to. */
  ofConnection(): readonly Allowance[] {
    return [new Allowance('connection', this.#rates.connection), this.#room];
  }

  /** Of a relay: as much as a room may be sent, and it takes nothing from those who are here. */
  ofPeer(): readonly Allowance[] {
    return [new Allowance('connection', this.#rates.room)];
  }

  ofReplica(replica: ReplicaId): Allowance {
    let allowance = this.#byReplica.get(replica);
    if (allowance === undefined) {
      if (this.#byReplica.size >= this.#lookAt) this.#forget();
      this.#byReplica.set(replica, (allowance = new Allowance('replica', this.#rates.replica)));
    }
    return allowance;
  }

  #forget(): void {
    const nowMs = this.#clock.nowMs();
    for (const [replica, allowance] of this.#byReplica) if (allowance.isUnused(nowMs)) this.#byReplica.delete(replica);
    // Looking through all of them is paid for by as many that have come since.
    this.#lookAt = Math.max(REPLICAS_MANY, 2 * this.#byReplica.size);
  }
}
