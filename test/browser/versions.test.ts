import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import { setStage } from '../support/stage.js';

const stage = setStage({ isRelayRunning: true });
const devtools = needs('devtools');

test.skipIf(devtools.isLacking)(
  `a version that one person names is looked at and restored by another, and what stood before can be had back${devtools.why}`,
  async () => {
    const anna = await stage.arrive('Anna');
    await anna.type('The first draft.');
    const annas = chromiumPage(anna.page);
    await annas.getByText('Earlier versions').click();
    await annas.getByLabel('Name of this version').fill('Sent to the printer');
    await annas.locator('#version-form button').click();
    await expect.poll(() => annas.locator('.earlier-name').first().textContent()).toMatch(/^Sent to the printer · /);

    const ben = await stage.arrive('Ben');
    await expect.poll(() => ben.text()).toBe('The first draft.');
    await ben.goToEnd();
    await ben.type(' And a second thought.');
    await expect.poll(() => anna.text()).toBe('The first draft. And a second thought.');
    const bens = chromiumPage(ben.page);
    await bens.getByText('Earlier versions').click();
    const named = bens.locator('.earlier-item', { hasText: 'Sent to the printer' });
    await named.getByRole('button', { name: 'Look' }).click();
    await expect.poll(() => bens.locator('.earlier-text').textContent()).toBe('The first draft.');
    await bens.getByRole('button', { name: 'Restore this' }).click();
    await expect.poll(() => bens.locator('#version-said').textContent()).toMatch(/^The text reads as of /);
    await expect.poll(() => anna.text()).toBe('The first draft.');

    const before = bens.locator('.earlier-item', { hasText: 'Before a version was restored' });
    await before.getByRole('button', { name: 'Restore' }).click();
    await expect.poll(() => anna.text()).toBe('The first draft. And a second thought.');
  },
);
