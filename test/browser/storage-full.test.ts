import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumContext } from '../support/engines/chromium.js';
import type { Session } from '../support/engines/engine.js';
import { fillDisk, Quota } from '../support/quota.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();

/** From when there is room to when everything is on disk. */
const KEPT_WITHIN_MS = 1_000;
const QUOTA_BYTES = 5_000_000;

const devtools = needs('devtools');
let quota: Quota;
const prepare = async (session: Session, origin: string): Promise<void> => {
  quota = await Quota.limit(chromiumContext(session), origin, QUOTA_BYTES);
};

test.skipIf(devtools.isLacking)(
  `[JS7] the disk fills while two tabs are open: everything is shown, and kept a second after there is room${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile, prepare });
    await anna.type('Kept. ');
    await anna.waitUntilInSync();
    const first = anna.page;
    const second = await anna.openTab();
    await anna.inTab(second).waitForText('Kept. ');
    const there = anna.inTab(first);

    await fillDisk(there);
    await there.goToEnd();
    await there.type('Not kept yet. ');
    await there.addRecord('not kept either');
    for (const tab of [first, second]) {
      await anna.inTab(tab).waitForText('Kept. Not kept yet. ');
      await until('the record', async () => (await anna.inTab(tab).records()).includes('not kept either'));
      expect(await anna.inTab(tab).status()).toMatchObject({ storage: 'full' });
    }
    const full = await there.status();
    expect(full.lastError).toMatchObject({ code: 'STORAGE_FULL', retryable: true });
    expect(full.pending.writes).toBeGreaterThan(0);
    expect(full.sync).not.toBe('in-sync');
    expect((await there.shownStatus()).words).toContain('No space left');

    const roomAtMs = Date.now();
    await quota.lift();
    await there.waitForStatus('on disk', ({ storage }) => storage === 'indexeddb');
    console.log(`kept ${Date.now() - roomAtMs} ms after there was room`);
    expect(Date.now() - roomAtMs).toBeLessThan(KEPT_WITHIN_MS + 1_000);
    const ben = await stage.arrive('Ben');
    await waitUntilEqual([there, ben], 30_000);
    expect(await ben.text()).toBe('Kept. Not kept yet. ');
    await until('the record', async () => (await ben.records()).includes('not kept either'));
  },
);

test.skipIf(devtools.isLacking)(
  `[JS7] the ladder is true on a full disk: such a write is applied, and on disk when there is room${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const anna = await stage.arrive('Anna', { profile, prepare, relay: false });
    await anna.write('Kept. ');
    await anna.page.evaluate(() => mangrove.note.reached('disk'));
    await fillDisk(anna);
    const rungs = await anna.page.evaluate(async () => {
      const receipt = await mangrove.records.put('a', 'not kept');
      await receipt.reached('applied');
      const late = new Promise<string>((resolve) => setTimeout(() => resolve('waits'), 1_500));
      return [receipt.rung, await Promise.race([receipt.reached('disk').then(() => 'disk'), late])];
    });
    expect(rungs).toEqual(['applied', 'waits']);
    await quota.lift();
    await anna.page.evaluate(() => mangrove.room.reached('disk'));
    await profile.close();
    const again = await stage.arrive('Anna', { profile, relay: false });
    expect(await again.text()).toBe('Kept. ');
    expect(await again.page.evaluate(async () => (await mangrove.records.get('a'))?.value)).toBe('not kept');
  },
);
