import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { requireBrowser } from '../../../scripts/lib/ensure-browser.mjs';
import { CHROMIUM_ARGS } from './chromium-args.js';
import { PlaywrightSession } from './playwright-engine.js';

const ARGS = ['--headless=new', ...CHROMIUM_ARGS, '--remote-debugging-port=0'];
const START_MS_MAX = 30_000;

/**
 * A Chromium as a person has it, on a profile of its own: one tab is in front and all others are hidden, so the browser may freeze them, and
 * pages that are left go into the back/forward cache. Under a driver of its own every page is visible, always, and no page is kept.
 */
export async function openPlainChromium(): Promise<PlaywrightSession> {
  const folder = await mkdtemp(join(tmpdir(), 'mangrove-plain-'));
  const child = spawn(requireBrowser('chromium'), [...ARGS, `--user-data-dir=${folder}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const endpoint = await addressOf(child);
  // Without the defaults it takes the browser as it is.
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true } as object);
  const [context] = browser.contexts();
  if (context === undefined) throw new Error('the browser has no context');
  return new PlainSession(context, false, async () => {
    await browser.close().catch(() => {});
    await end(child);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
}

class PlainSession extends PlaywrightSession {
  readonly #end: () => Promise<void>;

  constructor(context: PlaywrightSession['context'], isFocusReal: boolean, end: () => Promise<void>) {
    super(context, isFocusReal);
    this.#end = end;
  }

  override async close(): Promise<void> {
    await this.#end();
  }
}

function addressOf({ stderr }: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Chromium did not start')), START_MS_MAX);
    let said = '';
    stderr?.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      const address = /ws:\/\/\S+/.exec(said)?.[0];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
