import type { CDPSession, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumContext, chromiumPage } from '../support/engines/chromium.js';
import { fillDisk, Quota } from '../support/quota.js';
import { setStage } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
const devtools = needs('devtools');

const QUOTA_BYTES = 5_000_000;

/** What the page's window listens to, as the browser knows it. */
async function listenersOf(session: CDPSession): Promise<readonly string[]> {
  const { result } = await session.send('Runtime.evaluate', { expression: 'globalThis' });
  const { listeners } = await session.send('DOMDebugger.getEventListeners', { objectId: result.objectId as string });
  return listeners.map(({ type }) => type);
}

/** Closes the page as a person does; resolves to whether the browser asked, and they stayed. */
async function isAskedOnClosing(page: Page): Promise<boolean> {
  const asked = new Promise<boolean>((resolve) => {
    page.once('dialog', (dialog) => {
      resolve(dialog.type() === 'beforeunload');
      void dialog.dismiss();
    });
    page.once('close', () => resolve(false));
  });
  await page.close({ runBeforeUnload: true });
  return asked;
}

test.skipIf(devtools.isLacking)(
  `[API] a page that would take something along asks before it is closed, and is free of listeners otherwise${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    let quota: Quota | undefined;
    const anna = await stage.arrive('Anna', {
      profile,
      prepare: async (session, origin) => {
        quota = await Quota.limit(chromiumContext(session), origin, QUOTA_BYTES);
      },
    });
    await anna.type('Kept. ');
    await anna.waitUntilInSync();
    const page = chromiumPage(anna.page);
    const session = await page.context().newCDPSession(page);
    expect(await listenersOf(session)).not.toContain('beforeunload');

    await fillDisk(anna);
    await anna.goToEnd();
    await anna.type('Not kept. ');
    await anna.waitForStatus('full', ({ storage }) => storage === 'full');
    expect(await listenersOf(session)).toContain('beforeunload');
    expect(await isAskedOnClosing(page)).toBe(true);
    await anna.waitForText('Kept. Not kept. ');

    await quota?.lift();
    await anna.waitForStatus('kept', ({ storage, pending }) => storage === 'indexeddb' && pending.writes === 0);
    await until('no listener', async () => !(await listenersOf(session)).includes('beforeunload'));
    expect(await isAskedOnClosing(page)).toBe(false);
  },
);

test.skipIf(devtools.isLacking)(
  `[API] whether the browser promises to keep what is stored is shown as it says${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile });
    const page = chromiumPage(anna.page);
    const persisted = (): Promise<boolean | null> =>
      anna.page.evaluate(() => mangrove.room.metrics().storage.persisted);
    await until('an answer', async () => (await persisted()) === false);
    await page
      .context()
      .grantPermissions(['storage-access'])
      .catch(() => {});
    const session = await page.context().newCDPSession(page);
    const origin = new URL(page.url()).origin;
    await session.send('Browser.setPermission', {
      permission: { name: 'persistent-storage' },
      setting: 'granted',
      origin,
    });
    expect(await anna.page.evaluate(() => mangrove.client.persist())).toBe(true);
    expect(await persisted()).toBe(true);
  },
);
