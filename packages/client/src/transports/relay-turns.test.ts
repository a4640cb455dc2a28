import { expect, test } from 'vitest';
import { RelayTurns } from './relay-turns.js';

const CUT = { code: 1006, isOfUse: true };
const FAILED = { code: 1006, isOfUse: false };
const GONE = { code: 1001, isOfUse: true };
const turnsOf = (count: number, random = () => 0): RelayTurns => new RelayTurns(count, random);

test('[FD2] one that cannot be reached is followed by the next one, and when none can, by the first again, more and more seldom', () => {
  const turns = turnsOf(3);
  const tries = Array.from({ length: 9 }, () => turns.ended(FAILED, 0));
  expect(tries.map(({ relay }) => relay)).toEqual([1, 2, 0, 1, 2, 0, 1, 2, 0]);
  expect(tries.filter(({ relay }) => relay !== 0).map(({ afterMs }) => afterMs)).toEqual([
    200, 200, 200, 200, 200, 200,
  ]);
  expect(tries.filter(({ relay }) => relay === 0).map(({ afterMs }) => Math.round(afterMs))).toEqual([200, 320, 512]);
  for (let i = 0; i < 60; i++) turns.ended(FAILED, 0);
  expect(Math.max(...Array.from({ length: 3 }, () => turns.ended(FAILED, 0).afterMs))).toBe(5_000);
});

test('[FD2] a link that is cut is opened again at the same relay, which is left when it is not there', () => {
  const turns = turnsOf(3);
  expect(turns.ended(CUT, 0)).toEqual({ relay: 0, afterMs: 200 });
  expect(turns.ended(FAILED, 0)).toEqual({ relay: 1, afterMs: 200 });
});

test('[FD2] a relay that says that it goes is left at once', () => {
  const turns = turnsOf(2);
  expect(turns.ended(GONE, 0)).toEqual({ relay: 1, afterMs: 50 });
  expect(turns.ended(GONE, 0)).toEqual({ relay: 0, afterMs: 50 });
});

test('[FD2] those who lose a relay together do not come to the next one together', () => {
  const delays = [0, 0.5, 0.999].map((random) => turnsOf(2, () => random).ended(GONE, 0).afterMs);
  expect(new Set(delays).size).toBe(3);
});

test('[FD3] at the first of them there is nothing to return to', () => {
  const turns = turnsOf(2);
  expect(turns.returnAfterMs()).toBeUndefined();
  turns.ended(FAILED, 0);
  expect(turns.returnAfterMs()).toBe(30_000);
});

test('[FD3] a relay that comes and goes is returned to more and more seldom, and one that stays as at first', () => {
  const turns = turnsOf(2);
  turns.ended(FAILED, 0);
  const waits: (number | undefined)[] = [];
  for (let i = 0; i < 7; i++) {
    turns.returned(0, 1_000);
    turns.ended(GONE, 2_000);
    waits.push(turns.returnAfterMs());
  }
  expect(waits).toEqual([60_000, 120_000, 240_000, 480_000, 600_000, 600_000, 600_000]);
  turns.returned(0, 10_000);
  turns.ended(GONE, 80_000);
  expect(turns.returnAfterMs()).toBe(30_000);
});

test('[FD2] when the network is back the first one is tried at once', () => {
  const turns = turnsOf(3);
  turns.ended(FAILED, 0);
  turns.ended(FAILED, 0);
  expect(turns.anew()).toEqual({ relay: 0, afterMs: 0 });
  expect(turns.ended(FAILED, 0)).toEqual({ relay: 1, afterMs: 200 });
});
