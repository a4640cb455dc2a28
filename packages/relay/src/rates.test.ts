import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BURST_MS, type Buckets, DEBT_MS_MAX, debtOf, FULL, isFull, ratesOf, spend } from './rates.js';

const rates = { messages: 10, bytes: 1_000, deltas: 100, presenceBytes: 50 };
const nothing = { messages: 0, bytes: 0, deltas: 0, presenceBytes: 0 };
const NOW = 1_800_000_000_000;

describe('token buckets', () => {
  test('[SY26] after a rest the rates of five seconds go at once, and one message more is waited for', () => {
    let buckets = FULL;
    for (let i = 0; i < 50; i++) {
      buckets = spend(buckets, rates, { ...nothing, messages: 1 }, NOW);
      expect(debtOf(buckets, NOW)).toBeUndefined();
    }
    buckets = spend(buckets, rates, { ...nothing, messages: 1 }, NOW);
    expect(debtOf(buckets, NOW)).toEqual({ what: 'messages', waitMs: 100 });
    expect(debtOf(buckets, NOW + 100)).toBeUndefined();
    expect(isFull(buckets, NOW + BURST_MS + 99)).toBe(false);
    expect(isFull(buckets, NOW + BURST_MS + 100)).toBe(true);
  });

  test('[SY26] what is waited for is what is owed most', () => {
    const buckets = spend(FULL, rates, { messages: 60, bytes: 7_000, deltas: 1, presenceBytes: 1 }, NOW);
    expect(debtOf(buckets, NOW)).toEqual({ what: 'bytes', waitMs: 2_000 });
  });

  test('[SY26] a rate that is off is never owed', () => {
    const off = ratesOf({ connection: { messages: Number.POSITIVE_INFINITY } }).connection;
    expect(debtOf(spend(FULL, off, { ...nothing, messages: 1e12 }, NOW), NOW)).toBeUndefined();
  });

  test('[SY26] a clock that is set back makes nobody wait longer than it takes to fill', () => {
    const buckets = spend(FULL, rates, { ...nothing, messages: 50 }, NOW);
    const earlier = NOW - 365 * 24 * 3_600_000;
    const after = spend(buckets, rates, { ...nothing, messages: 1 }, earlier);
    expect(debtOf(after, earlier)).toEqual({ what: 'messages', waitMs: 100 });
  });

  test('[SY26] over any time no more goes than the rate and one burst, whoever waits as it is told', () => {
    const costs = fc.array(fc.record({ pauseMs: fc.nat(500), messages: fc.nat(30) }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(costs, (steps) => {
        let buckets: Buckets = FULL;
        let nowMs = NOW;
        let taken = 0;
        for (const { pauseMs, messages } of steps) {
          nowMs += pauseMs + (debtOf(buckets, nowMs + pauseMs)?.waitMs ?? 0);
          const allowed = (BURST_MS / 1_000 + (nowMs - NOW) / 1_000) * rates.messages;
          expect(taken).toBeLessThanOrEqual(allowed + 1e-3);
          buckets = spend(buckets, rates, { ...nothing, messages }, nowMs);
          taken += messages;
        }
      }),
    );
  });

  test('[SY26] nobody owes more than the largest debt and the last thing that came', () => {
    let buckets: Buckets = FULL;
    for (let i = 0; i < 1_000; i++) buckets = spend(buckets, rates, { ...nothing, messages: 1 }, NOW);
    expect(debtOf(buckets, NOW)?.waitMs).toBeLessThanOrEqual(DEBT_MS_MAX + 100);
  });

  test('an option that is no rate is refused by its name', () => {
    const refusal = (option: string) =>
      expect.objectContaining({ code: 'OPTION_INVALID', facts: expect.objectContaining({ option }) });
    expect(() => ratesOf({ room: { sockets: 0 } })).toThrow(refusal('rates.room.sockets'));
    expect(() => ratesOf({ connection: { messages: Number.NaN } })).toThrow(refusal('rates.connection.messages'));
    expect(() => ratesOf({ replica: { sockets: 1 } as object })).toThrow(refusal('rates.replica.sockets'));
    expect(ratesOf({ room: { sockets: 7 } }).room).toMatchObject({ sockets: 7, messages: ratesOf().room.messages });
  });
});
