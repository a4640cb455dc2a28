import { createRelay } from '@mangrove/relay/node';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
// @ts-expect-error A bench is no TypeScript.
import { measureDeleted } from '../../bench/growth/measure.mjs';
// @ts-expect-error A bench is no TypeScript.
import { mangroveCursor, mangroveVector } from '../../bench/reconcile/peers/mangrove.mjs';
// @ts-expect-error A bench is no TypeScript.
import { makeWorkload } from '../../bench/reconcile/workload.mjs';
// @ts-expect-error A bench is no TypeScript.
import { Crowd } from '../../bench/relay/load/crowd.mjs';
// @ts-expect-error A bench is no TypeScript.
import { loads } from '../../bench/relay/loads.mjs';
// @ts-expect-error A bench is no TypeScript.
import { SMOKE_SETTINGS } from '../../bench/relay/settings.mjs';
import { makeFolder } from '../support/real-relay.js';

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

  test('relay: its clients write, hear all of it and read it late, with and without a checkpoint', {
    timeout: 120_000,
  }, async () => {
    const relay = createRelay({ storage: await makeFolder() });
    onTestFinished(() => relay.close());
    const { url } = await relay.listen({ port: 0 });
    const crowd = new Crowd();
    const contestant = { protocol: 'mangrove', checkpoints: true };
    const clients = { ask: async (what: string, asked = {}) => (await crowd[what](asked)) ?? {} };
    const server = { port: Number(new URL(url).port), cpuSeconds: () => 0, residentKiB: async () => 0 };
    onTestFinished(() => crowd.end());
    const { intake } = SMOKE_SETTINGS;
    const figures = await loads.intake(
      { contestant, server, clients },
      { intake: { ...intake, deltas: 300, joins: 1 } },
    );
    expect(figures.lateMs).toBeGreaterThan(0);
    expect(figures.lateAfterCheckpointMs).toBeGreaterThan(0);
  });
});
