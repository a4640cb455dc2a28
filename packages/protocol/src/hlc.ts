import { MangroveError } from './errors.js';

declare const brand: unique symbol;

/**
 * A hybrid logical clock as one whole number: milliseconds × 1024 + counter [HLC1]. Numbers stay exact until the year
 * 2248, compare as numbers, and a counter that is full runs into the milliseconds by itself.
 * Source: Kulkarni et al. 2014, Logical Physical Clocks.
 */
export type Hlc = number & { readonly [brand]: 'Hlc' };

export const TICKS_PER_MS = 1_024;

export const HLC_ZERO = 0 as Hlc;

export const hlcFromMs = (ms: number): Hlc => (Math.floor(ms) * TICKS_PER_MS) as Hlc;
export const hlcToMs = (hlc: Hlc): number => Math.floor(hlc / TICKS_PER_MS);

/** [HLC2] Strictly above `last`, and at the wall clock where that is ahead. */
export function tickHlc(last: Hlc, nowMs: number): Hlc {
  return Math.max(hlcFromMs(nowMs), last + 1) as Hlc;
}

/** [HLC3] The clock after meeting `stamp`; a stamp from too far ahead does not move it. */
export function receiveHlc(last: Hlc, stamp: Hlc, nowMs: number, aheadMsMax: number): Hlc {
  return stamp > last && msAhead(stamp, nowMs) <= aheadMsMax ? stamp : last;
}

/** How far a stamp lies ahead of the wall clock, in ms; 0 when it does not. */
export function msAhead(stamp: Hlc, nowMs: number): number {
  return Math.max(0, hlcToMs(stamp) - Math.floor(nowMs));
}

/** [HLC4] Throws `CLOCK_AHEAD`. */
export function assertNotAhead(stamp: Hlc, nowMs: number, aheadMsMax: number): void {
  const aheadMs = msAhead(stamp, nowMs);
  if (aheadMs > aheadMsMax) throw new MangroveError('CLOCK_AHEAD', { aheadMs, clockAheadMsMax: aheadMsMax });
}
