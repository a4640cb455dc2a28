import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import type { Person } from '../support/person.js';
import { setStage } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
const devtools = needs('devtools');

const TOLD_WITHIN_MS = 60_000;

async function waitForReasons(person: Person, wanted: readonly string[]): Promise<void> {
  const reasons = (): Promise<readonly string[]> => person.page.evaluate(() => mangrove.room.health().reasons);
  await until(`the reasons ${wanted.join()}`, async () => (await reasons()).join() === wanted.join(), {
    withinMs: TOLD_WITHIN_MS,
    explain: async () => (await reasons()).join(),
  });
}

test('[API] a room in sync is well, one without a network says so, and is well again', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  await waitForReasons(anna, []);
  anna.network.cut();
  await waitForReasons(anna, ['offline']);
  anna.network.heal();
  await anna.waitUntilInSync();
  await waitForReasons(anna, []);
});

test.skipIf(devtools.isLacking)(
  `[API] a worker that has no time to answer is told by its page, until it has${devtools.why}`,
  async () => {
    const anna = await stage.arrive('Anna');
    await anna.waitUntilInSync();
    const [worker] = chromiumPage(anna.page).workers();
    const isBusy = worker?.evaluate(() => {
      const endMs = Date.now() + 25_000;
      while (Date.now() < endMs);
    });
    await waitForReasons(anna, ['worker-silent']);
    await isBusy;
    await anna.waitUntilInSync();
    await waitForReasons(anna, []);
    expect((await anna.status()).lastError).toBeNull();
  },
);
