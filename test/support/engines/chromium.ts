import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { requireBrowser } from '../../../scripts/lib/ensure-browser.mjs';
import type { Engine, Session, Tab } from './engine.js';
import { PlaywrightEngine, PlaywrightSession, PlaywrightTab } from './playwright-engine.js';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-sync',
  '--no-first-run',
  '--mute-audio',
  // A page in the background is to behave as one in the foreground: two people are two pages, and one screen has one in front.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

export function openChromium(): Engine {
  return new PlaywrightEngine({
    name: 'chromium',
    networkTrouble: /WebSocket connection to .* failed|net::ERR_(?:CONNECTION|NETWORK|INTERNET)/,
    type: chromium,
    launch: { executablePath: requireBrowser('chromium'), args: ARGS, headless: true },
    lock: 'SingletonLock',
    isFocusReal: false,
  });
}

/** For what Chromium alone can be asked; whoever asks runs there alone. */
export function chromiumPage(tab: Tab): Page {
  if (!(tab instanceof PlaywrightTab)) throw new Error('only a tab of Chromium has this');
  return tab.page;
}

export function chromiumContext(session: Session): BrowserContext {
  if (!(session instanceof PlaywrightSession)) throw new Error('only Chromium has this');
  return session.context;
}

export function chromiumBrowser(session: Session): Browser {
  const browser = session instanceof PlaywrightSession ? session.context.browser() : null;
  if (browser === null) throw new Error('only Chromium without a folder has this');
  return browser;
}
