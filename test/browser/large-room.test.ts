import { defaultLimits, PART_BYTES } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { drawSizes, fillRoom } from '../support/large-room.js';
import { needs } from '../support/engines/abilities.js';
import { chromiumBrowser } from '../support/engines/chromium.js';
import { liveHeapBytes } from '../support/live-heap.js';
import { canGauge, MemoryGauge } from '../support/memory-gauge.js';
import type { Person } from '../support/person.js';
import { makeRandom } from '../support/random.js';
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
const ROUND_MS_MAX = isLong ? 60 * 60_000 : 120_000;

/** Of the content, what may stay in the heaps of the page and its worker: a few words for each document, and no body. */
const LIVE_SHARE_MAX = 0.01;
const LIVE_BYTES_MAX = 12 * MB;
/** How much higher the peaks of a larger room may be than those of the first. A collector that lets garbage lie makes some difference. */
const PEAK_RATIO_MAX = 2;

const ROOMS = [
  { bytes: 30 * MB, cuts: { everyMsMin: 1_000, everyMsMax: 2_000 } },
  ...(isLong ? [200, 500].map((mb) => ({ bytes: mb * MB, cuts: { everyMsMin: 2_000, everyMsMax: 5_000 } })) : []),
];
/** Of the rooms so far, the first and smallest first. */
const peaks: { readonly relay: number; readonly renderer: number }[] = [];

const UPLOADS = [
  { bytes: 12 * MB, cuts: { everyMsMin: 1_000, everyMsMax: 2_000 } },
  ...(isLong ? [{ bytes: 30 * MB, cuts: { everyMsMin: 1_000, everyMsMax: 2_000 } }] : []),
];
/** Headers, frames and what is said beside the content; and what each cut may cost, however long it took to come: the parts that were asked for. */
const UPLOAD_SHARE_MAX = 1.1;
const UNDERWAY_BYTES = defaultLimits.wantedPartsMax * PART_BYTES;

const stage = setStage();
const memory = needs('memory of pages');

interface Step {
  readonly deltas: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

declare global {
  /** One list for each catch-up: progress is undefined between them. */
  var catchUps: Step[][];
}

test.skipIf(memory.isLacking).each(ROOMS)(
  `[SY17, SY18, SY20] a first sync of $bytes bytes goes through a link that is cut all the time, in bounded memory${memory.why}`,
  async ({ bytes, cuts }) => {
    const content = await fillRoom(stage.relay.url, stage.room, bytes, SEED);
    await stage.relay.restart();
    const anna = await stage.arrive('Anna', { isCutOff: true });
    const link = new WeakLink(anna.network);
    const relay = MemoryGauge.ofProcess(stage.relay.pid);
    const renderer = await MemoryGauge.ofRenderers(chromiumBrowser(anna.session));
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
      ROUND_MS_MAX,
    );
    link.stop();
    for (const gauge of [relay, renderer]) gauge.stop();
    const liveBytes = await liveHeapBytes(chromiumBrowser(anna.session));
    const figures = {
      seconds: Math.round((performance.now() - startedMs) / 1_000),
      cuts: link.cuts,
      overhead: link.bytes.down / content.bytes,
      relayMB: Math.round(relay.peakBytes / MB),
      rendererMB: Math.round(renderer.peakBytes / MB),
      liveMB: Math.round(liveBytes / MB),
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
    expect(liveBytes).toBeLessThan(LIVE_BYTES_MAX + LIVE_SHARE_MAX * content.bytes);
    if (!canGauge) return;
    peaks.push({ relay: relay.peakBytes, renderer: renderer.peakBytes });
    const [first] = peaks as [(typeof peaks)[number]];
    expect(relay.peakBytes / first.relay).toBeLessThan(PEAK_RATIO_MAX);
    expect(renderer.peakBytes / first.renderer).toBeLessThan(PEAK_RATIO_MAX);
    expect(relay.peakBytes).toBeLessThan(RELAY_BYTES_MAX);
    expect(renderer.peakBytes).toBeLessThan(RENDERER_BYTES_MAX);
  },
  ROUND_MS_MAX,
);

test.each(UPLOADS)(
  '[SY17, SY18] what a device wrote offline, $bytes bytes, goes up through a link that is cut all the time',
  async ({ bytes, cuts }) => {
    const anna = await stage.arrive('Anna', { isCutOff: true });
    const sizes = drawSizes(bytes, makeRandom(SEED));
    await writeDocuments(anna, sizes);
    const { pending } = await anna.status();
    expect(pending.writes).toBeGreaterThanOrEqual(sizes.length);
    const content = sizes.reduce((sum, size) => sum + size, 0);
    const link = new WeakLink(anna.network);
    const relay = MemoryGauge.ofProcess(stage.relay.pid);
    anna.network.delay(LATENCY_MS);
    anna.network.heal();
    const startedMs = performance.now();
    link.start({ seed: SEED, ...cuts });
    const status = await anna.waitUntilInSync(ROUND_MS_MAX);
    link.stop();
    relay.stop();
    console.log(
      JSON.stringify({
        seconds: Math.round((performance.now() - startedMs) / 1_000),
        cuts: link.cuts,
        sent: link.bytes.up,
        relayMB: Math.round(relay.peakBytes / MB),
        deltas: sizes.length,
        bytes: content,
      }),
    );
    const told = await stage.relay.version(stage.room);
    expect(told?.root).toBe(status.root);
    expect(told?.offset).toBe(sizes.length);
    expect(link.cuts).toBeGreaterThan(2);
    expect(link.bytes.up).toBeLessThan(content * UPLOAD_SHARE_MAX + link.cuts * UNDERWAY_BYTES);
    if (canGauge) expect(relay.peakBytes).toBeLessThan(RELAY_BYTES_MAX);
  },
  ROUND_MS_MAX,
);

/** One document of each size, of text that nothing makes smaller; on disk when it resolves. */
async function writeDocuments(person: Person, sizes: readonly number[]): Promise<void> {
  await person.page.evaluate(async (sizes) => {
    const randomText = (size: number): string => {
      const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      let text = '';
      for (let left = size; left > 0; left -= 65_536)
        for (const byte of crypto.getRandomValues(new Uint8Array(Math.min(left, 65_536)))) text += letters[byte & 63];
      return text;
    };
    const write = async (i: number): Promise<void> => {
      const handle = mangrove.room.document(`bulk ${i}`);
      await handle.ready;
      handle.ydoc.getText('content').insert(0, randomText(sizes[i] as number));
      await handle.reached('disk');
      handle.close();
    };
    for (let from = 0; from < sizes.length; from += 16)
      await Promise.all(sizes.slice(from, from + 16).map((_, i) => write(from + i)));
  }, sizes);
}

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
