import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { requireBrowser } from '../../../scripts/lib/ensure-browser.mjs';
import { CHROMIUM_ARGS } from './chromium-args.js';
import type { Engine, Session, Tab } from './engine.js';
import { killProcess } from './processes.js';
import { PlaywrightEngine, PlaywrightSession, PlaywrightTab } from './playwright-engine.js';

const ARGS = [
  ...CHROMIUM_ARGS,
  // A page in the background is to behave as one in the foreground: two people are two pages, and one screen has one in front.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

const CRASH_MS_MAX = 10_000;

/** `features`: switched on by name, as in chrome://flags. */
export function openChromium({ features = [] }: { features?: readonly string[] } = {}): Engine {
  const args = features.length === 0 ? ARGS : [...ARGS, `--enable-features=${features.join()}`];
  return new PlaywrightEngine({
    name: 'chromium',
    networkTrouble: /WebSocket connection to .* failed|net::ERR_(?:CONNECTION|NETWORK|INTERNET)/,
    type: chromium,
    launch: { executablePath: requireBrowser('chromium'), args, headless: true },
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
  if (browser === null) throw new Error('only Chromium has this');
  return browser;
}

/** Ends the process of a tab without a warning. Resolves to the tab that has crashed: where two processes are much alike, the other one. */
export async function killTab(session: Session, tab: Tab, tabs: readonly Tab[]): Promise<Tab> {
  const crashed = tabs.map((tab) => new Promise<Tab>((resolve) => chromiumPage(tab).once('crash', () => resolve(tab))));
  await killProcess(await processOf(session, tab));
  const late = new Promise<never>((_, reject) => {
    setTimeout(
      () => reject(new Error('the process of a tab was killed, and no tab has crashed')),
      CRASH_MS_MAX,
    ).unref();
  });
  const ended = await Promise.race([...crashed, late]);
  await ended.close();
  return ended;
}

/** Chromium does not say whose process is whose: it is the one that has used as much time as the page says that its own has. */
async function processOf(session: Session, tab: Tab): Promise<number> {
  const page = chromiumPage(tab);
  const [ofPage, ofBrowser] = [
    await page.context().newCDPSession(page),
    await chromiumBrowser(session).newBrowserCDPSession(),
  ];
  await ofPage.send('Performance.enable');
  const [{ metrics }, { processInfo }] = await Promise.all([
    ofPage.send('Performance.getMetrics'),
    ofBrowser.send('SystemInfo.getProcessInfo'),
  ]);
  const used = metrics.find(({ name }) => name === 'ProcessTime')?.value;
  await Promise.all([ofPage.detach(), ofBrowser.detach()]);
  if (used === undefined) throw new Error('Chromium does not tell how much time the process of a page has used');
  const [nearest] = processInfo
    .filter(({ type }) => type === 'renderer')
    .sort((a, b) => Math.abs(a.cpuTime - used) - Math.abs(b.cpuTime - used));
  if (nearest === undefined) throw new Error('Chromium has no process of a page');
  return nearest.id;
}
