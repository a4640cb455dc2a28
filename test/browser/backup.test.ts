import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import type { Person } from '../support/person.js';
import { setStage } from '../support/stage.js';

const stage = setStage({ isRelayRunning: false });

/** Opens the panel of the room, where a person finds it; where there is no dialog to be driven, the copy is a download. */
async function openPanel(person: Person): Promise<Page> {
  const page = chromiumPage(person.page);
  await page.evaluate(() => Reflect.deleteProperty(globalThis, 'showSaveFilePicker'));
  const save = page.getByRole('button', { name: 'Save a copy' });
  if (!(await save.isVisible())) await page.locator('#room-button').click();
  return page;
}

const devtools = needs('devtools');

test.skipIf(devtools.isLacking)(
  `[BK5, BK7] a copy that one person saves is restored by another, who has never met a relay either${devtools.why}`,
  async () => {
    const anna = await stage.arrive('Anna', { relay: false });
    await anna.type('Written on a boat.');
    await anna.addRecord('Buy a chart');
    const annas = await openPanel(anna);
    const [download] = await Promise.all([
      annas.waitForEvent('download'),
      annas.getByRole('button', { name: 'Save a copy' }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^room-[\w-]+\.mangrove$/);
    const path = await download.path();
    expect(readFileSync(path).subarray(0, 15).toString()).toBe('mangrove:backup');

    const ben = await stage.arrive('Ben', { relay: false });
    await ben.type('Ashore. ');
    const bens = await openPanel(ben);
    const said = bens.locator('#backup-said');
    await bens.locator('#backup-file').setInputFiles(path);
    await expect.poll(() => said.textContent()).toMatch(/^Restored \d+ changes\.$/);
    await expect.poll(() => ben.records()).toEqual(['Buy a chart']);
    const text = await ben.text();
    expect(text).toContain('Written on a boat.');
    expect(text).toContain('Ashore. ');

    await bens.locator('#backup-file').setInputFiles(path);
    await expect.poll(() => said.textContent()).toBe('Nothing in it that was not here already.');

    // One of another room says so, and one that is none says what to do.
    const cas = await stage.arrive('Cas', { relay: false, room: 'another' });
    const cass = await openPanel(cas);
    await cass.locator('#backup-file').setInputFiles(path);
    const link = cass.locator('#backup-said a');
    await expect.poll(() => link.textContent()).toBe(stage.room);
    await cass.locator('#backup-file').setInputFiles({
      name: 'cat.mangrove',
      mimeType: 'application/octet-stream',
      buffer: readFileSync(path).subarray(0, -3),
    });
    await expect.poll(() => cass.locator('#backup-said').textContent()).toMatch(/^The backup ends early/);
  },
);
