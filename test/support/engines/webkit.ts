import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { requireBrowser } from '../../../scripts/lib/ensure-browser.mjs';
import { findFreePort } from '../free-port.js';
import { Display } from './display.js';
import type { Engine, Session } from './engine.js';
import { groupSize } from './processes.js';
import { until } from '../until.js';
import { WebDriver } from './web-driver.js';
import { WebKitTab } from './webkit-tab.js';

const BROWSER = fileURLToPath(new URL('webkit-browser.py', import.meta.url));
const CONSOLE_ERROR = / CONSOLE (?:\w+ )?ERROR /;
/** A page may wait for what the test does; it is the test that gives up. */
const SCRIPT_MS_MAX = 300_000;
const FIND_MS_MAX = 10_000;

/** WebKitGTK. Each session is a browser of its own, as one is all that can be driven at once. */
export function openWebKit(): Engine {
  return {
    name: 'webkit',
    networkTrouble: /WebSocket connection to .* failed|WebSocket network error|Could not connect to|Failed to connect/i,
    open: (folder) => WebKitSession.start(folder),
    close: async () => {},
  };
}

class WebKitSession implements Session {
  onTrouble: (words: string) => void = () => {};
  readonly #folder: string;
  readonly #isFolderOurs: boolean;
  #display!: Display;
  #driver!: WebDriver;
  /** The window that the browser comes with stays as it is: with its last window the browser ends, and a person's last tab is not that. */
  #keeper = '';
  #turn: Promise<unknown> = Promise.resolve();
  #current = '';
  #ended: Promise<void> | undefined;

  static async start(folder?: string): Promise<WebKitSession> {
    const session = new WebKitSession(folder ?? (await mkdtemp(join(tmpdir(), 'mangrove-webkit-'))), !folder);
    session.#display = await Display.open();
    session.#driver = await WebDriver.start(
      {
        program: requireBrowser('webkit'),
        port: await findFreePort(),
        env: { DISPLAY: session.#display.name, GDK_BACKEND: 'x11', MANGROVE_WEBKIT_PROFILE: session.#folder },
        onLine: (line) => {
          if (CONSOLE_ERROR.test(line)) session.onTrouble(`console: ${line}`);
        },
      },
      { 'webkitgtk:browserOptions': { binary: BROWSER, args: [] } },
    );
    session.#keeper = (await session.#driver.get('/window')) as string;
    await session.#driver.post('/timeouts', { script: SCRIPT_MS_MAX, implicit: FIND_MS_MAX });
    return session;
  }

  private constructor(folder: string, isFolderOurs: boolean) {
    this.#folder = folder;
    this.#isFolderOurs = isFolderOurs;
  }

  async openTab(): Promise<WebKitTab> {
    const window = await this.#inTab(this.#keeper, () => this.#driver.post('/window/new', { type: 'tab' }));
    const { handle } = window as { handle: string };
    return new WebKitTab(this.#driver, (run) => this.#inTab(handle, run));
  }

  close(): Promise<void> {
    this.#ended ??= this.#end(true);
    return this.#ended;
  }

  kill(): Promise<void> {
    this.#ended ??= this.#end(false);
    return this.#ended;
  }

  async #end(isGentle: boolean): Promise<void> {
    const { pid } = this.#driver;
    if (isGentle) {
      const isOver = until('the browser to end', () => groupSize(pid) <= 1);
      // The last answer may be one that the browser does not live to give.
      await Promise.race([this.#closeWindows().then(() => isOver), isOver]).catch(() => {});
    }
    await this.#driver.kill();
    await until('the browser to be gone', () => groupSize(pid) === 0);
    await this.#display.close();
    if (this.#isFolderOurs) await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** With its last window the browser ends. */
  #closeWindows(): Promise<void> {
    return this.#inTurn(async () => {
      for (const handle of (await this.#driver.get('/window/handles')) as string[]) {
        await this.#driver.post('/window', { handle });
        await this.#driver.delete('/window');
      }
    });
  }

  #inTab<Result>(handle: string, run: () => Promise<Result>): Promise<Result> {
    return this.#inTurn(async () => {
      if (this.#current !== handle) await this.#driver.post('/window', { handle });
      this.#current = handle;
      return await run();
    });
  }

  /** The driver has one command at a time under way, and one window that it is about. */
  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
