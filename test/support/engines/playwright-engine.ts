import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserType, LaunchOptions, Page } from 'playwright-core';
import type { Engine, EngineName, Session, Tab } from './engine.js';
import { killProcess } from './processes.js';

export interface PlaywrightOptions {
  readonly name: EngineName;
  readonly networkTrouble: RegExp;
  readonly type: BrowserType;
  readonly launch: LaunchOptions;
  /** In the profile's folder: a link to nowhere whose name ends with the id of the browser's process. */
  readonly lock: string;
  /** One window has the focus, and a page knows it: so everybody has a browser of their own, and acts in its foremost tab. */
  readonly isFocusReal: boolean;
}

/** Chromium and Firefox. */
export class PlaywrightEngine implements Engine {
  readonly name: EngineName;
  readonly networkTrouble: RegExp;
  readonly #options: PlaywrightOptions;
  #shared: Promise<Browser> | undefined;

  constructor(options: PlaywrightOptions) {
    this.name = options.name;
    this.networkTrouble = options.networkTrouble;
    this.#options = options;
  }

  async open(folder?: string): Promise<PlaywrightSession> {
    const { type, launch, lock, isFocusReal } = this.#options;
    if (folder !== undefined || isFocusReal) {
      // Without a name Playwright makes a folder, and takes it away again.
      const context = await type.launchPersistentContext(folder ?? '', launch);
      return new PlaywrightSession(context, isFocusReal, folder === undefined ? undefined : join(folder, lock));
    }
    this.#shared ??= type.launch(launch);
    return new PlaywrightSession(await (await this.#shared).newContext(), isFocusReal);
  }

  async close(): Promise<void> {
    await (await this.#shared)?.close();
    this.#shared = undefined;
  }
}

export class PlaywrightSession implements Session {
  onTrouble: (words: string) => void = () => {};
  readonly context: BrowserContext;
  readonly #isFocusReal: boolean;
  readonly #lock: string | undefined;

  constructor(context: BrowserContext, isFocusReal: boolean, lock?: string) {
    this.context = context;
    this.#isFocusReal = isFocusReal;
    this.#lock = lock;
    context.on('weberror', (error) => this.onTrouble(`page error: ${error.error().stack ?? error.error().message}`));
    context.on('console', (message) => {
      if (message.type() === 'error') this.onTrouble(`console: ${message.text()}`);
    });
  }

  async openTab(): Promise<PlaywrightTab> {
    return new PlaywrightTab(await this.context.newPage(), this.#isFocusReal);
  }

  async close(): Promise<void> {
    await this.context.close();
  }

  async kill(): Promise<void> {
    if (this.#lock === undefined) throw new Error('a browser without a folder is not killed: it is not alone');
    const pid = Number(/\d+$/.exec(await readlink(this.#lock))?.[0]);
    await killProcess(pid);
    await this.context.close().catch(() => {});
  }
}

export class PlaywrightTab implements Tab {
  readonly page: Page;
  readonly #isFocusReal: boolean;

  constructor(page: Page, isFocusReal: boolean) {
    this.page = page;
    this.#isFocusReal = isFocusReal;
  }

  async goto(address: string): Promise<void> {
    await this.page.goto(address);
  }

  async reload(): Promise<void> {
    await this.page.reload();
  }

  async close(): Promise<void> {
    await this.page.close();
  }

  evaluate<Result, Argument>(
    run: (argument: Argument) => Result | Promise<Result>,
    argument?: Argument,
  ): Promise<Result> {
    return this.page.evaluate(run as (argument: unknown) => Result, argument);
  }

  async click(selector: string): Promise<void> {
    await this.page.click(selector);
  }

  async fill(selector: string, text: string): Promise<void> {
    await this.page.fill(selector, text);
  }

  async type(text: string, delayMs = 0): Promise<void> {
    await this.#comeToFront();
    await this.page.keyboard.type(text, { delay: delayMs });
  }

  async press(keys: string): Promise<void> {
    await this.#comeToFront();
    await this.page.keyboard.press(keys);
  }

  async #comeToFront(): Promise<void> {
    if (this.#isFocusReal) await this.page.bringToFront();
  }
}
