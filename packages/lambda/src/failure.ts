/**
 * Why a merge has no result. Codes are permanent; the detail is for people and may differ between hosts.
 *
 * A failure that every replica sees alike decides the conflict alike, by the fallback. One that depends on the host decides nothing [LB8].
 */
export interface Failure {
  readonly code: FailureCode;
  readonly detail: string;
}

const IS_DETERMINISTIC = {
  /** The fuel ran out. */
  FUEL_OUT: true,
  /** Calls were nested too deep. */
  TOO_DEEP: true,
  /** The guest hit an instruction that traps, such as a division by zero or a load out of bounds. */
  TRAPPED: true,
  /** The guest threw, out of memory included. */
  THREW: true,
  /** The guest asked for a clock, randomness or something of the host. */
  FORBIDDEN: true,
  /** The result is no value. */
  OUTPUT_INVALID: true,
  OUTPUT_TOO_LARGE: true,
  INPUT_TOO_LARGE: true,
  /** The watchdog ended the worker. */
  TIMED_OUT: false,
  /** The host refused memory that the limits allow. */
  NO_MEMORY: false,
  /** The stack of the host ended before the guest's budget. */
  HOST_STACK: false,
  /** The engine could not be loaded, or the worker started. */
  UNAVAILABLE: false,
  /** Anything else that the host did. */
  HOST_FAILED: false,
} as const satisfies Record<string, boolean>;

export type FailureCode = keyof typeof IS_DETERMINISTIC;

export function isDeterministic(code: FailureCode): boolean {
  return IS_DETERMINISTIC[code];
}

export const FAILURE_CODES = Object.keys(IS_DETERMINISTIC) as readonly FailureCode[];

/** What a guest comes to: bytes, or a failure; and the fuel that it took, which is the same everywhere where the outcome is. */
export type Outcome =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer>; readonly fuel: number }
  | { readonly ok: false; readonly error: Failure; readonly fuel: number };

/** Ends a run of a guest from within a host function. Guests cannot catch it. */
export class Interrupted extends Error {
  constructor(readonly failure: Failure) {
    super(failure.detail);
    this.name = 'Interrupted';
  }
}

export function interrupt(code: FailureCode, detail: string): Interrupted {
  return new Interrupted({ code, detail });
}
