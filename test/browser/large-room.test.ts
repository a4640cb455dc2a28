import { expect, test } from 'vitest';
import { fillRoom } from '../support/large-room.js';
import { canGauge, MemoryGauge } from '../support/memory-gauge.js';
import type { Person } from '../support/person.js';
import { setStage } from '../support/stage.js';
import { WeakLink } from '../support/weak-link.js';

const isLong = process.env.MANGROVE_TEST_LONG !== undefined;
const MB = 1_000_000;
const SEED = 20;
/** In each direction. */
const LATENCY_MS = 50;
/** Neither depends on how large the room is: the long round has the same. */
const RELAY_BYTES_MAX = 400 * MB;
const RENDERER_BYTES_MAX = 500 * MB;
/** What was on the wire at a cut comes again. */
const OVERHEAD_MAX = 1.2;

const ROOMS = [
  { bytes: 30 * MB, cuts: { everyMsMin: 1_000, everyMsMax: 2_000 } },
  ...(isLong ? [{ bytes: 500 * MB, cuts: { everyMsMin: 2_000, everyMsMax: 5_000 } }] : []),
];

const stage = setStage();

interface Step {
  readonly deltas: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

declare global {
  /** One list for each catch-up: progress is undefined between them. */
  var catchUps: Step[][];
}

test.each(ROOMS)(
  '[SY17, SY18, SY20] a first sync of $bytes bytes goes through a link that is cut all the time, in bounded memory',
  async ({ bytes, cuts }) => {
    const content = await fillRoom(stage.relay.url, stage.room, bytes, SEED);
    await stage.relay.restart();
    const anna = await stage.arrive('Anna', { isCutOff: true });
    const link = new WeakLink(anna.network);
    const relay = MemoryGauge.ofProcess(stage.relay.pid);
    const renderer = await MemoryGauge.ofRenderers(anna.browser);
    await watchProgress(anna);
    const told = await stage.relay.version(stage.room);
    const startedMs = performance.now();
    // What is on its way when the link is cut is lost: on a network without a delay nothing is.
    anna.network.delay(LATENCY_MS);
    anna.network.heal();
    link.start({ seed: SEED, ...cuts });
    const status = await anna.waitForStatus(
      'in sync with all of it',
      ({ sync, pending, root }) => sync === 'in-sync' && pending.writes === 0 && root === told?.root,
      60 * 60_000,
    );
    link.stop();
    for (const gauge of [relay, renderer]) gauge.stop();
    const figures = {
      seconds: Math.round((performance.now() - startedMs) / 1_000),
      cuts: link.cuts,
      overhead: link.bytes.down / content.bytes,
      relayMB: Math.round(relay.peakBytes / MB),
      rendererMB: Math.round(renderer.peakBytes / MB),
      ...content,
    };
    console.log(JSON.stringify(figures));
    expect(status.root).toBe(told?.root);
    expect(told?.offset).toBe(content.deltas);
    expect(status.quarantined).toBe(0);
    expect(status.progress).toBeUndefined();
    expect(link.cuts).toBeGreaterThan(2);
    expect(figures.overhead).toBeLessThan(OVERHEAD_MAX);
    await expectProgress(anna);
    if (!canGauge) return;
    expect(relay.peakBytes).toBeLessThan(RELAY_BYTES_MAX);
    expect(renderer.peakBytes).toBeLessThan(RENDERER_BYTES_MAX);
  },
);

async function watchProgress(person: Person): Promise<void> {
  await person.page.evaluate(() => {
    globalThis.catchUps = [[]];
    mangrove.room.on('status', ({ progress }) => {
      const now = catchUps.at(-1) as Step[];
      if (progress !== undefined) now.push(progress);
      else if (now.length > 0) catchUps.push([]);
    });
  });
}

/** [SY20] Within a catch-up nothing that was shown is taken back, and no more is there than the total. */
async function expectProgress(person: Person): Promise<void> {
  const catchUps = await person.page.evaluate(() => globalThis.catchUps);
  expect(catchUps.at(-1), 'it ends').toEqual([]);
  expect(catchUps.flat().length).toBeGreaterThan(0);
  for (const steps of catchUps) {
    for (const [i, step] of steps.entries()) {
      expect(step.bytes).toBeLessThanOrEqual(step.bytesTotal);
      expect(step.bytes).toBeGreaterThanOrEqual(steps[i - 1]?.bytes ?? 0);
      expect(step.deltas).toBeGreaterThanOrEqual(steps[i - 1]?.deltas ?? 0);
    }
  }
}
