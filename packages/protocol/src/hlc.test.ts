import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isMangroveError } from './errors.js';
import { assertNotAhead, HLC_ZERO, type Hlc, hlcFromMs, hlcToMs, msAhead, receiveHlc, tickHlc } from './hlc.js';

const AHEAD_MAX = 300_000;
const ms = fc.integer({ min: 0, max: 4_000_000_000_000 });
const hlc = fc.integer({ min: 0, max: 4_000_000_000_000 * 1_024 }).map((value) => value as Hlc);

describe('hlc', () => {
  test('[HLC1] a stamp is milliseconds × 1024 + counter', () => {
    expect(hlcFromMs(1_700_000_000_000)).toBe(1_740_800_000_000_000);
    expect(hlcToMs((1_740_800_000_000_000 + 1_023) as Hlc)).toBe(1_700_000_000_000);
    expect(hlcFromMs(1.9)).toBe(1_024);
    expect(Number.isSafeInteger(hlcFromMs(Date.UTC(2248, 0)) + 1_023)).toBe(true);
    fc.assert(fc.property(ms, (now) => hlcToMs(hlcFromMs(now)) === now));
  });

  test('[HLC2] a tick rises strictly, and is at the wall clock where that is ahead', () => {
    fc.assert(
      fc.property(hlc, ms, (last, now) => {
        const next = tickHlc(last, now);
        expect(next).toBeGreaterThan(last);
        expect(next).toBeGreaterThanOrEqual(hlcFromMs(now));
        expect([last + 1, hlcFromMs(now)]).toContain(next);
      }),
    );
  });

  test('[HLC2] a clock that goes back does not take the stamps along', () => {
    let last = HLC_ZERO;
    for (const now of [1_000, 999, 10, 0, 1_001]) {
      const next = tickHlc(last, now);
      expect(next).toBeGreaterThan(last);
      last = next;
    }
    expect(last).toBe(hlcFromMs(1_001));
  });

  test('[HLC2] a full counter runs into the milliseconds', () => {
    let last = hlcFromMs(5);
    for (let i = 0; i < 3_000; i++) last = tickHlc(last, 5);
    expect(last).toBe(hlcFromMs(5) + 3_000);
    expect(hlcToMs(last)).toBe(7);
  });

  test('[HLC3] a stamp within bounds moves the clock up, one from further ahead does not', () => {
    fc.assert(
      fc.property(hlc, hlc, ms, (last, stamp, now) => {
        const next = receiveHlc(last, stamp, now, AHEAD_MAX);
        const isTaken = stamp > last && hlcToMs(stamp) - now <= AHEAD_MAX;
        expect(next).toBe(isTaken ? stamp : last);
        expect(next).toBeGreaterThanOrEqual(last);
      }),
    );
    expect(receiveHlc(HLC_ZERO, hlcFromMs(AHEAD_MAX), 0, AHEAD_MAX)).toBe(hlcFromMs(AHEAD_MAX));
    expect(receiveHlc(HLC_ZERO, hlcFromMs(AHEAD_MAX + 1), 0, AHEAD_MAX)).toBe(HLC_ZERO);
  });

  test('[HLC4] a stamp too far ahead of the wall clock is CLOCK_AHEAD, with the facts', () => {
    expect(() => assertNotAhead(hlcFromMs(AHEAD_MAX), 0, AHEAD_MAX)).not.toThrow();
    let caught: unknown;
    try {
      assertNotAhead(hlcFromMs(AHEAD_MAX + 7), 0, AHEAD_MAX);
    } catch (error) {
      caught = error;
    }
    expect(isMangroveError(caught) && [caught.code, caught.facts, caught.retryable]).toEqual([
      'CLOCK_AHEAD',
      { aheadMs: AHEAD_MAX + 7, clockAheadMsMax: AHEAD_MAX },
      true,
    ]);
    expect(msAhead(hlcFromMs(3), 10)).toBe(0);
  });
});
