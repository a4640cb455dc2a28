import { expect, test } from 'vitest';
import { type Figures, healthOf } from './health.js';

const WELL: Figures = {
  eventLoopLagMs: 20,
  commitMs: 5,
  queuedBytes: 1_000,
  lagMs: 0,
  failed: 0,
  engineSilentMs: 0,
  holes: 0,
};

test('a relay that is well has the score 1 and no reason', () => {
  expect(healthOf(WELL)).toEqual({ score: 1, reasons: [] });
});

test('the worst figure decides, every reason is named, and the score never leaves 0 to 1', () => {
  const slow = healthOf({ ...WELL, commitMs: 5_250 });
  expect(slow).toEqual({ score: 0.5, reasons: ['commits-slow'] });
  const worse = healthOf({ ...WELL, commitMs: 5_250, holes: 90 });
  expect(worse.reasons).toEqual(['commits-slow', 'storage-lossy']);
  expect(worse.score).toBeCloseTo(0.1);
  expect(healthOf({ ...WELL, holes: 1e9 }).score).toBe(0);
  // What is not measured yet is no reason.
  expect(healthOf({ ...WELL, eventLoopLagMs: Number.NaN })).toEqual({ score: 1, reasons: [] });
});
