import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumContext, chromiumPage } from '../support/engines/chromium.js';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
const devtools = needs('devtools');

const MOVED_WITHIN_MS = 15_000;

/** A page of the site that is not the app. */
async function openBlank(page: Page, origin: string): Promise<void> {
  const body = '<link rel="icon" href="data:,">';
  await page.route('**/blank', (route) => route.fulfill({ contentType: 'text/html', body }));
  await page.goto(`${origin}/blank`);
}

test.skipIf(devtools.isLacking)(
  `[JS8] site data cleared while a page is open: it goes on in memory, and nothing that was typed is lost${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile });
    await anna.type('At the relay. ');
    await anna.addRecord('sent');
    await anna.waitUntilInSync();
    anna.network.cut();
    await anna.goToEnd();
    await anna.type('Only here. ');
    await anna.addRecord('unsent');
    await anna.page.evaluate(() => mangrove.room.reached('disk'));

    const page = chromiumPage(anna.page);
    const session = await page.context().newCDPSession(page);
    const origin = new URL(page.url()).origin;
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
    const moved = await anna.waitForStatus('moved', ({ storage }) => storage === 'lost', MOVED_WITHIN_MS);
    expect(moved.lastError).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(moved.pending.writes).toBeGreaterThan(0);
    await anna.goToEnd();
    await anna.type('And on. ');
    expect((await anna.shownStatus()).words).toContain('storage of this device was lost');

    anna.network.heal();
    const ben = await stage.arrive('Ben');
    const { text } = await waitUntilEqual([anna, ben], 30_000);
    expect(text).toBe('At the relay. Only here. And on. ');
    for (const person of [anna, ben]) {
      await until('both records', async () => (await person.records()).sort().join() === 'sent,unsent');
    }
    // The next visit finds an empty database, and everything in it comes from the relay.
    await anna.reload();
    await waitUntilEqual([anna, ben], 30_000);
    expect((await anna.status()).storage).toBe('indexeddb');
  },
);

test.skipIf(devtools.isLacking)(
  `[JS8] site data cleared while two tabs have typed without a network: each goes on with its own, and all of it survives${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile });
    await anna.type('At the relay. ');
    await anna.addRecord('sent');
    await anna.waitUntilInSync();
    const first = anna.inTab(anna.page);
    const second = anna.inTab(await anna.openTab());
    await second.waitForText('At the relay. ');
    anna.network.cut();
    for (const [tab, name] of [
      [first, 'first'],
      [second, 'second'],
    ] as const) {
      await tab.goToEnd();
      await tab.type(`Typed in the ${name}. `);
      await tab.addRecord(`of the ${name}`);
      // Of what no page has open a worker alone knows.
      await tab.page.evaluate(async (name) => {
        const note = mangrove.room.document(`closed in the ${name}`);
        await note.ready;
        note.ydoc.getText('content').insert(0, name);
        await note.reached('disk');
        note.close();
      }, name);
      await tab.page.evaluate(() => mangrove.room.reached('disk'));
    }

    const page = chromiumPage(second.page);
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.clearDataForOrigin', {
      origin: new URL(page.url()).origin,
      storageTypes: 'indexeddb',
    });
    for (const tab of [first, second])
      await tab.waitForStatus('moved', ({ storage }) => storage === 'lost', MOVED_WITHIN_MS);
    anna.network.heal();
    const ben = await stage.arrive('Ben');
    const { text } = await waitUntilEqual([first, second, ben], 30_000);
    expect(text).toBe('At the relay. Typed in the first. Typed in the second. ');
    const records = (tab: Person): Promise<string> => tab.records().then((titles) => titles.sort().join());
    for (const tab of [first, second, ben])
      await until('all records', async () => (await records(tab)) === 'of the first,of the second,sent');
    const closed = await ben.page.evaluate(async () => {
      const texts: string[] = [];
      for (const name of ['first', 'second']) {
        const note = mangrove.room.document(`closed in the ${name}`);
        await note.ready;
        texts.push(note.ydoc.getText('content').toString());
      }
      const entries = await mangrove.records.entries();
      return [...texts, ...entries.map(([, { siblings }]) => siblings.length)];
    });
    expect(closed, 'each once, and nothing beside what it replaced').toEqual(['first', 'second', 1, 1, 1]);
    for (const tab of [first, second]) {
      const { lostWrites } = await tab.page.evaluate(() => mangrove.room.metrics().storage);
      expect(lostWrites).toBe(0);
    }
  },
);

test.skipIf(devtools.isLacking)(
  `[JS8] IndexedDB is denied: the room is in memory, syncs, and says so${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    await profile.denySiteData();
    const anna = await stage.arrive('Anna', { profile });
    await anna.type('In memory. ');
    const status = await anna.waitUntilInSync();
    expect(status).toMatchObject({ storage: 'memory', lastError: { code: 'STORAGE_UNAVAILABLE' } });
    const ben = await stage.arrive('Ben');
    const { text } = await waitUntilEqual([anna, ben]);
    expect(text).toBe('In memory. ');
  },
);

test.skipIf(devtools.isLacking)(
  `[JS8] a deaf tab of an older version blocks the database: the room opens in memory, and from the database when that tab is gone${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile });
    await anna.type('Before. ');
    await anna.waitUntilInSync();
    const name = await anna.page.evaluate(async () => {
      // It would answer for the blank page.
      await (await navigator.serviceWorker.ready).unregister();
      return (await indexedDB.databases())[0]?.name ?? '';
    });
    await profile.close();

    const again = await stage.arrive('Anna', {
      profile,
      prepare: async (session, origin) => {
        const deaf = await chromiumContext(session).newPage();
        await openBlank(deaf, origin);
        await deaf.evaluate(async (name) => {
          await new Promise((resolve) => {
            indexedDB.deleteDatabase(name).onsuccess = resolve;
          });
          const opening = indexedDB.open(name, 1);
          await new Promise((resolve) => {
            opening.onsuccess = resolve;
          });
          (globalThis as { db?: unknown }).db = opening.result;
        }, name);
      },
    });
    const status = await again.waitForStatus('moved', ({ storage }) => storage === 'memory', MOVED_WITHIN_MS);
    expect(status.lastError).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(status.lastError?.message).toContain('another tab');
    await again.waitUntilInSync();
    expect(await again.text()).toBe('Before. ');
    await again.type('After. ');
    await again.page.evaluate(() => mangrove.note.reached('relay'));
    const shown = chromiumPage(again.page);
    for (const page of shown.context().pages()) if (page !== shown) await page.close();
    await again.reload();
    await again.waitUntilInSync();
    expect((await again.status()).storage).toBe('indexeddb');
    expect(await again.text()).toBe('After. Before. ');
  },
);

test.skipIf(devtools.isLacking)(
  `[JS8] a newer version takes the database: the old tab goes on in memory and is told to reload${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile });
    await anna.type('Before. ');
    await anna.waitUntilInSync();
    const page = chromiumPage(anna.page);
    const newer = await page.context().newPage();
    await openBlank(newer, new URL(page.url()).origin);
    await newer.evaluate(async () => {
      const [first] = await indexedDB.databases();
      const opening = indexedDB.open(first?.name ?? '', 99);
      await new Promise((resolve) => {
        opening.onsuccess = resolve;
      });
    });
    const status = await anna.waitForStatus('moved', ({ storage }) => storage === 'lost', MOVED_WITHIN_MS);
    expect(status.lastError?.message).toContain('newer version');
    expect(status.lastError?.code).toBe('STORAGE_NEWER');
    await anna.goToEnd();
    await anna.type('After. ');
    const ben = await stage.arrive('Ben');
    const { text } = await waitUntilEqual([anna, ben], 30_000);
    expect(text).toBe('Before. After. ');
  },
);

test.skipIf(devtools.isLacking)(
  `[JS8] the browser cannot open the databases of the site: a bucket keeps the room, over restarts, until it can again${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile });
    await anna.type('At the relay. ');
    await anna.waitUntilInSync();
    await profile.close();
    await profile.breakDatabases();

    const broken = await stage.arrive('Anna', { profile });
    await broken.waitUntilInSync();
    expect(await broken.status()).toMatchObject({ storage: 'indexeddb', lastError: { code: 'STORAGE_UNAVAILABLE' } });
    expect(await broken.text()).toBe('At the relay. ');
    expect(await broken.page.evaluate(() => mangrove.room.metrics().storage.place)).toBe('bucket');
    broken.network.cut();
    await broken.goToEnd();
    await broken.type('In the bucket. ');
    await broken.addRecord('in the bucket');
    await broken.page.evaluate(() => mangrove.room.reached('disk'));
    await profile.close();

    const still = await stage.arrive('Anna', { profile, isCutOff: true });
    await still.waitForText('At the relay. In the bucket. ');
    expect(await still.records()).toEqual(['in the bucket']);
    await profile.close();
    await profile.forgetDatabases();

    const mended = await stage.arrive('Anna', { profile });
    const ben = await stage.arrive('Ben');
    const { text } = await waitUntilEqual([mended, ben], 30_000);
    expect(text).toBe('At the relay. In the bucket. ');
    await until('the record', async () => (await ben.records()).join() === 'in the bucket');
    // The database that could not be opened is gone, and nothing was in it alone.
    expect((await mended.status()).lastError).toMatchObject({ code: 'STORAGE_LOST' });
    expect(await mended.page.evaluate(() => mangrove.room.metrics().storage)).toMatchObject({
      place: 'main',
      lostWrites: 0,
    });
  },
);
