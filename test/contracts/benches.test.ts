import { describe, expect, test, vi } from 'vitest';
// @ts-expect-error A bench is no TypeScript.
import { measureDeleted } from '../../bench/growth/measure.mjs';
// @ts-expect-error A bench is no TypeScript.
import { mangroveCursor, mangroveVector } from '../../bench/reconcile/peers/mangrove.mjs';
// @ts-expect-error A bench is no TypeScript.
import { makeWorkload } from '../../bench/reconcile/workload.mjs';

// Benches reach into the packages, where no type checks them, and run whole only now and then: here each of those that do runs in short.
describe('benches drive the packages as they are', () => {
  test('[FL11] growth: what was made and deleted is collected', { timeout: 120_000 }, async () => {
    vi.spyOn(console, 'log').mockImplementation(() => {});
    const { deleted } = await measureDeleted({ steps: [600, 1_300] });
    expect(deleted[0]).toMatchObject({ tombstones: 600 });
    expect(deleted[1].deltas, 'one record, and the floor that collected the others').toBeLessThan(1_024);
  });

  test.each([
    ['vectors', mangroveVector],
    ['a cursor', mangroveCursor],
  ])('[SY3, MK7] reconcile: both ends come to know by %s what differs', (_, peer) => {
    for (const scenario of ['tail', 'scattered']) {
      const { bytes, roundTrips } = peer.run(makeWorkload({ n: 300, d: 5, scenario }));
      expect(bytes).toBeGreaterThan(0);
      expect(roundTrips).toBeGreaterThan(0);
    }
  });
});
