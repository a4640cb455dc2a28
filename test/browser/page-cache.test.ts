import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import { openPlainChromium } from '../support/engines/plain-chromium.js';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
const { isLacking, why } = needs('devtools');

declare global {
  /** Whether this very page came back out of the cache. */
  var cameBack: boolean | undefined;
}

test.skipIf(isLacking)(
  `a page that is alone is kept when somebody leaves it, and goes on when they come back${why}`,
  async () => {
    const anna = await arriveInPlainBrowser();
    const ben = await stage.arrive('Ben');
    await anna.write('Before. ');
    await waitUntilEqual([anna, ben]);
    await leave(anna);
    await ben.write('Meanwhile. ');
    await ben.waitUntilInSync();
    await comeBack(anna);
    expect(await anna.page.evaluate(() => globalThis.cameBack)).toBe(true);
    await anna.waitForText('Before. Meanwhile. ');
    await anna.write('After. ');
    expect(await waitUntilEqual([anna, ben])).toMatchObject({ text: 'Before. Meanwhile. After. ' });
    expect((await anna.status()).lastError).toBe(null);
  },
);

test.skipIf(isLacking)(`a page that is left while it owns the replica holds up no other tab${why}`, async () => {
  const anna = await arriveInPlainBrowser();
  const annasPage = anna.page;
  const second = anna.inTab(await anna.openTab());
  anna.page = annasPage;
  const ben = await stage.arrive('Ben');
  await Promise.all([second.waitUntilInSync(), ben.waitUntilInSync()]);
  await anna.write('Before. ');
  await anna.page.evaluate(() => mangrove.note.reached('disk'));
  await leave(anna);
  await second.write('In the other tab. ');
  await ben.waitForText('Before. In the other tab. ');
  await comeBack(anna);
  await anna.settle();
  await anna.write('After. ');
  const { text } = await waitUntilEqual([anna, second, ben]);
  expect(text).toBe('Before. In the other tab. After. ');
});

async function arriveInPlainBrowser(): Promise<Person> {
  const anna = await stage.arrive('Anna', { session: await openPlainChromium() });
  // The browser ends the connections of a page that it keeps, and says so.
  anna.expectNetworkTrouble();
  await anna.waitUntilInSync();
  return anna;
}

async function leave({ page }: Person): Promise<void> {
  await page.evaluate(() => {
    addEventListener('pageshow', ({ persisted }) => {
      globalThis.cameBack = persisted;
    });
  });
  const elsewhere = new URL(await page.evaluate(() => location.href));
  elsewhere.searchParams.set('room', 'elsewhere');
  await page.goto(elsewhere.href);
}

/** A page out of the cache is not loaded, and a driver that waits for that waits in vain. */
async function comeBack({ page }: Person): Promise<void> {
  await chromiumPage(page).goBack({ waitUntil: 'commit' });
  await until('the room', () =>
    page.evaluate(() => globalThis.mangrove?.room.status.connection === 'connected').catch(() => false),
  );
}
