import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Person } from '../support/person.js';
import { setStage } from '../support/stage.js';

const stage = setStage({ isRelayRunning: false });

/** Opens the panel of the room, where a person finds it; where there is no dialog to be driven, the copy is a download. */
async function openPanel({ page }: Person): Promise<void> {
  await page.evaluate(() => Reflect.deleteProperty(globalThis, 'showSaveFilePicker'));
  const save = page.getByRole('button', { name: 'Save a copy' });
  if (!(await save.isVisible())) await page.locator('#room-button').click();
}

test('[BK5, BK7] a copy that one person saves is restored by another, who has never met a relay either', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  await anna.type('Written on a boat.');
  await anna.addRecord('Buy a chart');
  await openPanel(anna);
  const [download] = await Promise.all([
    anna.page.waitForEvent('download'),
    anna.page.getByRole('button', { name: 'Save a copy' }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/^room-[\w-]+\.mangrove$/);
  const path = await download.path();
  expect(readFileSync(path).subarray(0, 15).toString()).toBe('mangrove:backup');

  const ben = await stage.arrive('Ben', { relay: false });
  await ben.type('Ashore. ');
  await openPanel(ben);
  const said = ben.page.locator('#backup-said');
  await ben.page.locator('#backup-file').setInputFiles(path);
  await expect.poll(() => said.textContent()).toMatch(/^Restored \d+ changes\.$/);
  await expect.poll(() => ben.records()).toEqual(['Buy a chart']);
  const text = await ben.text();
  expect(text).toContain('Written on a boat.');
  expect(text).toContain('Ashore. ');

  await ben.page.locator('#backup-file').setInputFiles(path);
  await expect.poll(() => said.textContent()).toBe('Nothing in it that was not here already.');

  // One of another room says so, and one that is none says what to do.
  const cas = await stage.arrive('Cas', { relay: false, room: 'another' });
  await openPanel(cas);
  await cas.page.locator('#backup-file').setInputFiles(path);
  const link = cas.page.locator('#backup-said a');
  await expect.poll(() => link.textContent()).toBe(stage.room);
  await cas.page.locator('#backup-file').setInputFiles({
    name: 'cat.mangrove',
    mimeType: 'application/octet-stream',
    buffer: readFileSync(path).subarray(0, -3),
  });
  await expect.poll(() => cas.page.locator('#backup-said').textContent()).toMatch(/^The backup ends early/);
});
