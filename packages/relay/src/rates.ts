import { MangroveError } from '@mangrove/protocol';

/** What is counted of what a peer sends. A byte of presence goes to everybody in the room, so it is counted by itself too. */
export interface Amounts {
  readonly messages: number;
  readonly bytes: number;
  readonly deltas: number;
  readonly presenceBytes: number;
}

/** Amounts a second; what is above them for a moment is taken from what was not used in the last {@link BURST_MS}. */
export type Rates = Amounts;

export interface RateLimits {
  /** Of one connection. */
  readonly connection: Rates;
  /** Of one replica in one room, over all of its connections: one that comes back at once has gained nothing. */
  readonly replica: Rates;
  readonly room: Rates & {
    /** Connections that may be open at a time. */
    readonly sockets: number;
  };
}

const MIB = 1024 * 1024;

/** Far above what a person and an editor send, also in a first upload; low enough that one peer keeps no core busy. */
const PEER: Rates = { messages: 500, bytes: 32 * MIB, deltas: 50_000, presenceBytes: MIB };

export const defaultRates: RateLimits = {
  connection: PEER,
  replica: PEER,
  room: { messages: 20_000, bytes: 256 * MIB, deltas: 400_000, presenceBytes: 8 * MIB, sockets: 10_000 },
};

/** Who has been quiet for so long may send the rates of that time at once. */
export const BURST_MS = 5_000;
/** Whoever owes more than this cannot be held back, or does not want to be. */
export const DEBT_MS_MAX = 10_000;

/** As in {@link RateLimits}, all of it optional; `Infinity` switches a limit off. */
export interface RateOptions {
  readonly connection?: Partial<Rates> | undefined;
  readonly replica?: Partial<Rates> | undefined;
  readonly room?: Partial<RateLimits['room']> | undefined;
}

/** Throws `OPTION_INVALID` for what is no number above zero. */
export function ratesOf(options: RateOptions = {}): RateLimits {
  const of = <Group extends Rates>(scope: keyof RateLimits, defaults: Group, given: Partial<Group> = {}): Group => {
    for (const [name, rate] of Object.entries(given)) {
      const option = `rates.${scope}.${name}`;
      if (!(name in defaults)) throw new MangroveError('OPTION_INVALID', { option, reason: 'there is no such rate' });
      if (!(typeof rate === 'number' && rate > 0))
        throw new MangroveError('OPTION_INVALID', { option, reason: `${rate} is no number above zero` });
    }
    return { ...defaults, ...given };
  };
  return {
    connection: of('connection', defaultRates.connection, options.connection),
    replica: of('replica', defaultRates.replica, options.replica),
    room: of('room', defaultRates.room, options.room),
  };
}

export type Counted = keyof Amounts;
const COUNTED: readonly Counted[] = ['messages', 'bytes', 'deltas', 'presenceBytes'];

/**
 * Token buckets, one for each thing that is counted: when it would be full again, in ms of the clock. What was spent is a debt where there was
 * not enough, and debts are waited for: nothing that has come is dropped.
 */
export type Buckets = Amounts;

export const FULL: Buckets = { messages: 0, bytes: 0, deltas: 0, presenceBytes: 0 };

/** The buckets after these amounts were taken. A debt that nobody could have made is one of a clock that was set back. */
export function spend(buckets: Buckets, rates: Rates, amounts: Amounts, nowMs: number): Buckets {
  const after = (what: Counted): number => {
    const isPossible = buckets[what] <= nowMs + BURST_MS + DEBT_MS_MAX;
    const fullAtMs = isPossible ? Math.max(buckets[what], nowMs) : nowMs + BURST_MS;
    return fullAtMs + (amounts[what] * 1_000) / rates[what];
  };
  return {
    messages: after('messages'),
    bytes: after('bytes'),
    deltas: after('deltas'),
    presenceBytes: after('presenceBytes'),
  };
}

export interface Debt {
  readonly what: Counted;
  readonly waitMs: number;
}

/** How long nothing more is to be taken, and for want of what; undefined where there is something left. */
export function debtOf(buckets: Buckets, nowMs: number): Debt | undefined {
  let debt: Debt | undefined;
  for (const what of COUNTED) {
    const waitMs = buckets[what] - BURST_MS - nowMs;
    if (waitMs > (debt?.waitMs ?? 0)) debt = { what, waitMs };
  }
  return debt;
}

/** True when nothing is remembered of it. */
export function isFull(buckets: Buckets, nowMs: number): boolean {
  return COUNTED.every((what) => buckets[what] <= nowMs);
}
