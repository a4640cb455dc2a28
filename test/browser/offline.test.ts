import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildEdition, type DemoSite, openDemoSite } from '../support/demo-site.js';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
const devtools = needs('devtools');
let site: DemoSite;

beforeEach(async () => {
  site = await openDemoSite();
});

afterEach(() => site.close());

test('the page opens without its server after one visit, with what was written; and syncs when the network is back', async () => {
  const profile = await stage.newProfile();
  const anna = await stage.arrive('Anna', { profile, site });
  anna.expectNetworkTrouble();
  await anna.write('Before. ');
  await anna.waitUntilInSync();
  await waitUntilKept(anna);

  await site.close();
  anna.network.cut();
  await anna.reload();
  expect(await anna.text()).toBe('Before. ');
  await anna.type('Offline. ');
  await anna.page.evaluate(() => mangrove.note.reached('disk'));
  const second = anna.inTab(await anna.openTab());
  await second.waitForText('Offline. Before. ');
  await profile.close();

  const ben = await stage.arrive('Ben');
  const again = await stage.arrive('Anna', { profile, site });
  expect(await again.text()).toBe('Offline. Before. ');
  expect(await again.records()).toEqual([]);
  const { text } = await waitUntilEqual([again, ben]);
  expect(text).toBe('Offline. Before. ');
});

test('a new version waits until the person says so: nothing that was written is lost, and no tab is left behind', async () => {
  const next = await buildEdition('next');
  const anna = await stage.arrive('Anna', { site });
  anna.expectNetworkTrouble();
  await waitUntilKept(anna);
  const firstPage = anna.page;
  const second = anna.inTab(await anna.openTab());
  anna.page = firstPage;

  await site.close();
  site = await openDemoSite({ port: site.port, dist: next.dist });
  await anna.type('Before. ');
  await anna.page.evaluate(async () => {
    await (await navigator.serviceWorker.ready).update();
  });
  for (const tab of [anna, second]) await until('the notice', () => isNoticeShown(tab));
  // It does not press itself on anybody, and a reload is none to the new version either: page and worker belong together.
  await anna.type('Between. ');
  expect(await editionOf(anna)).toBe(undefined);
  await anna.page.evaluate(() => mangrove.note.reached('disk'));
  await anna.reload();
  expect(await editionOf(anna)).toBe(undefined);
  expect(await anna.text()).toContain('Before. Between. ');
  await until('the notice after a reload', () => isNoticeShown(anna));

  anna.network.cut();
  await anna.goToEnd();
  await anna.type('Offline. ');
  await anna.page.click('#update-now');
  await until('the new version', async () => (await editionOf(anna).catch(() => undefined)) === 'next');
  await anna.settle();
  expect(await anna.text()).toBe('Before. Between. Offline. ');
  expect(await isNoticeShown(anna)).toBe(false);

  // The other tab goes on and is told. Once nobody looks at it and nothing is begun in it, it starts again by itself.
  await second.waitForText('Before. Between. Offline. ');
  expect(await isNoticeShown(second)).toBe(true);
  await second.page.fill('[aria-label="New record"]', 'Half a thou');
  await hide(second);
  await second.write('And on. ');
  await second.page.evaluate(() => mangrove.note.reached('disk'));
  expect(await editionOf(second)).toBe(undefined);
  await second.page.fill('[aria-label="New record"]', '');
  await hide(second);
  await until('the other tab to follow', async () => (await editionOf(second).catch(() => undefined)) === 'next');
  await second.settle();
  expect(await second.text()).toBe('Before. Between. Offline. And on. ');
  anna.network.heal();
  await waitUntilEqual([anna, second]);
  await next.remove();
});

test.skipIf(devtools.isLacking)(`the demo can be installed${devtools.why}`, async () => {
  const profile = await stage.newProfile();
  const anna = await stage.arrive('Anna', { profile, site });
  await waitUntilKept(anna);
  const page = chromiumPage(anna.page);
  const session = await page.context().newCDPSession(page);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  expect(installabilityErrors).toEqual([]);
  const { errors, data = '' } = await session.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  const { start_url, icons } = JSON.parse(data) as { start_url: string; icons: { src: string; sizes: string }[] };
  expect(start_url).toBe('/');
  for (const { src, sizes } of icons) {
    const size = await page.evaluate(async (src) => {
      const image = new Image();
      image.src = src;
      await image.decode();
      return `${image.naturalWidth}x${image.naturalHeight}`;
    }, src);
    if (sizes !== 'any') expect(size, src).toBe(sizes);
  }
});

test.skipIf(devtools.isLacking)(`Background Sync wakes a page, which connects at once${devtools.why}`, async () => {
  const anna = await stage.arrive('Anna', { site });
  await anna.waitUntilInSync();
  await waitUntilKept(anna);
  const page = chromiumPage(anna.page);
  const heard = page.evaluate(
    () => new Promise<string>((resolve) => addEventListener('online', ({ type }) => resolve(type))),
  );
  const session = await page.context().newCDPSession(page);
  const registrationId = new Promise<string>((resolve) => {
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations: [registration] }) => {
      if (registration !== undefined) resolve(registration.registrationId);
    });
  });
  await session.send('ServiceWorker.enable');
  await session.send('ServiceWorker.dispatchSyncEvent', {
    origin: new URL(page.url()).origin,
    registrationId: await registrationId,
    tag: 'mangrove',
    lastChance: false,
  });
  expect(await heard).toBe('online');
});

/** The service worker has all files and answers for this page. */
async function waitUntilKept(person: Person): Promise<void> {
  await until('the page to be kept', () => person.page.evaluate(() => navigator.serviceWorker.controller !== null));
}

function editionOf({ page }: Person): Promise<string | undefined> {
  return page.evaluate(() => globalThis.edition);
}

function isNoticeShown({ page }: Person): Promise<boolean> {
  return page.evaluate(() => document.getElementById('update')?.hidden === false);
}

/** As when another tab is in front. */
function hide({ page }: Person): Promise<void> {
  return page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
}
