import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import type { RoomStatus } from './browser.js';
import type { TcpProxy } from './tcp-proxy.js';
import { until } from './until.js';

/** Chromium reports every connection that does not come about, whoever handles it. */
const NETWORK_TROUBLE = /WebSocket connection to .* failed|net::ERR_(?:CONNECTION|NETWORK|INTERNET)/;

/** An error as a page sees it. */
export interface Failure {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, unknown>>;
}

declare global {
  /** In every page: what a call fails with, undefined where it does not. */
  var failureOf: (run: () => unknown) => Promise<Failure | undefined>;
}

export interface PersonOptions {
  readonly name: string;
  readonly context: BrowserContext;
  readonly address: string;
  /** Undefined for who works without a relay. */
  readonly network: TcpProxy | undefined;
}

/** Somebody at a browser with the demo open: what they do, and what they see. */
export class Person {
  readonly name: string;
  readonly context: BrowserContext;
  page!: Page;
  /** Errors of their pages and workers that no test has said to expect. */
  readonly troubles: string[] = [];
  readonly #address: string;
  readonly #network: TcpProxy | undefined;
  #isNetworkTroubleExpected = false;

  /** Opens the browser and looks at nothing yet. */
  constructor({ name, context, address, network }: PersonOptions) {
    this.name = name;
    this.context = context;
    this.#address = address;
    this.#network = network;
    void context.addInitScript(() => {
      globalThis.failureOf = async (run) => {
        try {
          await run();
        } catch (error) {
          const { name, code, message, remedy, retryable, facts } = error as Failure;
          return { name, code, message, remedy, retryable, facts };
        }
        return undefined;
      };
    });
    context.on('weberror', (error) => this.#note(`page error: ${error.error().stack ?? error.error().message}`));
    context.on('console', (message) => {
      if (message.type() === 'error') this.#note(`console: ${message.text()}`);
    });
  }

  /** The network between this browser and the relay, to be broken. From now on the browser may complain about it. */
  get network(): TcpProxy {
    if (this.#network === undefined) throw new Error(`${this.name} has no network to break`);
    this.expectNetworkTrouble();
    return this.#network;
  }

  get browser(): Browser {
    const browser = this.context.browser();
    if (browser === null) throw new Error(`${this.name} has a browser of a profile, which is not told`);
    return browser;
  }

  expectNetworkTrouble(): void {
    this.#isNetworkTroubleExpected = true;
  }

  /** A tab in which the editor is ready to be typed into; it becomes the one that is acted on. */
  async openTab(): Promise<Page> {
    this.page = await this.context.newPage();
    await this.page.goto(this.#address);
    await this.editor.waitFor();
    return this.page;
  }

  /** The same person acting in another of their tabs. */
  inTab(page: Page): Person {
    const there: Person = Object.create(this);
    there.page = page;
    return there;
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.editor.waitFor();
  }

  get editor(): Locator {
    return this.page.getByRole('textbox', { name: 'Document' });
  }

  async callThemself(name: string): Promise<void> {
    await this.page.getByRole('textbox', { name: 'Your name' }).fill(name);
  }

  /** By keyboard, key by key, at the cursor. */
  async type(text: string, options: { delayMs?: number } = {}): Promise<void> {
    await this.editor.focus();
    await this.page.keyboard.type(text, { delay: options.delayMs ?? 0 });
  }

  /** Puts the cursor at the end of the text, as Ctrl+End does. */
  async goToEnd(): Promise<void> {
    await this.editor.focus();
    await this.page.keyboard.press('Control+End');
  }

  /** The text as the editor shows it; only for texts that fit on a screen. */
  async readEditor(): Promise<string> {
    const lines = await this.editor.locator('.cm-line').evaluateAll((elements) =>
      elements.map((element) => {
        const shown = element.cloneNode(true) as HTMLElement;
        for (const widget of shown.querySelectorAll('.cm-ySelectionCaret, .cm-placeholder, .cm-widgetBuffer'))
          widget.remove();
        return shown.textContent ?? '';
      }),
    );
    return lines.join('\n');
  }

  /** Whose cursors this person sees in the text. */
  cursorsOfOthers(): Promise<string[]> {
    return this.editor.locator('.cm-ySelectionCaret .cm-ySelectionInfo').allTextContents();
  }

  /** The shared text, whole. */
  text(): Promise<string> {
    return this.page.evaluate(() => mangrove.note.ydoc.getText('content').toString());
  }

  /** Writes at the end of the shared text without the keyboard, one transaction. */
  write(text: string): Promise<void> {
    return this.page.evaluate((text) => {
      const content = mangrove.note.ydoc.getText('content');
      content.insert(content.length, text);
    }, text);
  }

  async addRecord(title: string): Promise<void> {
    await this.page.getByRole('textbox', { name: 'New record' }).fill(title);
    await this.page.getByRole('button', { name: 'Add' }).click();
  }

  /** The titles in the list, in its order. */
  records(): Promise<string[]> {
    return this.page.getByRole('list', { name: 'Records' }).locator('.title').allTextContents();
  }

  status(): Promise<RoomStatus> {
    return this.page.evaluate(() => mangrove.room.status);
  }

  /** What the line of status tells those who look and those who listen. */
  async shownStatus(): Promise<{ connection: string; sync: string; pending: number; root: string; words: string }> {
    const line = this.page.getByRole('status');
    const {
      connection = '',
      sync = '',
      pending = '',
      root = '',
    } = await line.evaluate((element) => ({
      ...(element as HTMLElement).dataset,
    }));
    return { connection, sync, pending: Number(pending), root, words: (await line.textContent()) ?? '' };
  }

  async waitForText(text: string, withinMs?: number): Promise<void> {
    await until(`${this.name} to see the text`, async () => (await this.text()) === text, {
      withinMs,
      explain: async () =>
        `has ${JSON.stringify((await this.text()).slice(-400))}, wants ${JSON.stringify(text.slice(-400))}`,
    });
  }

  async waitForStatus(what: string, isWanted: (status: RoomStatus) => boolean, withinMs?: number): Promise<RoomStatus> {
    let status = await this.status();
    await until(
      `${this.name} to be ${what}`,
      async () => {
        status = await this.status();
        return isWanted(status);
      },
      { withinMs, explain: async () => JSON.stringify(await this.status()) },
    );
    return status;
  }

  /** Nobody presses anything: it comes about by itself, within this time. */
  waitUntilInSync(withinMs?: number): Promise<RoomStatus> {
    return this.waitForStatus('in sync', ({ sync, pending }) => sync === 'in-sync' && pending.writes === 0, withinMs);
  }

  #note(trouble: string): void {
    if (this.#isNetworkTroubleExpected && NETWORK_TROUBLE.test(trouble)) return;
    this.troubles.push(`${this.name}: ${trouble}`);
  }
}
