import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { ensureBrowser } from '../../scripts/lib/ensure-browser.mjs';

const ARGS = [
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--mute-audio',
  // Nobody looks at a headless page, and a page that nobody looks at has its timers slowed down.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/**
 * A Chromium of its own with a fresh profile on disk: the context of an ordinary launch is an incognito one, whose
 * IndexedDB never leaves the memory.
 */
export async function openProfile(folder) {
  const profile = await makeProfile(folder);
  const browser = await openBrowser(profile);
  return {
    ...browser,
    close: async () => {
      await browser.close();
      await removeProfile(profile);
    },
  };
}

export function makeProfile(folder) {
  return mkdtemp(join(folder, 'profile-'));
}

export function removeProfile(profile) {
  return rm(profile, { recursive: true, force: true, maxRetries: 5 });
}

/** A Chromium with a profile that stays when it is closed. */
export async function openBrowser(profile, extraArgs = []) {
  const executablePath = await ensureBrowser('chromium');
  const args = [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), ...ARGS, ...extraArgs];
  const context = await chromium.launchPersistentContext(profile, { executablePath, args, headless: true });
  const [page = await context.newPage()] = context.pages();
  return {
    page,
    session: () => context.newCDPSession(page),
    version: async () => {
      const session = await context.newCDPSession(page);
      return (await session.send('Browser.getVersion')).product;
    },
    close: () => context.close(),
  };
}
