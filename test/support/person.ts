import type { Client, Collection, DocumentHandle, Room, RoomStatus } from '@mangrove/client';
import type { Session, Tab } from './engines/engine.js';
import type { Notebook } from './notebook.js';
import type { TcpProxy } from './tcp-proxy.js';
import { until } from './until.js';

const EDITOR = '[role="textbox"][aria-label="Document"]';
/** The first page of a profile may have a slow machine to itself and two hundred kilobytes to compile. */
const OPEN_MS_MAX = 30_000;

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
  /** What the demo shows to whoever drives its page from outside. */
  var mangrove: {
    readonly client: Client;
    readonly room: Room;
    readonly note: DocumentHandle;
    readonly records: Collection<unknown>;
  };
  /** In every page: what a call fails with, undefined where it does not. */
  var failureOf: (run: () => unknown) => Promise<Failure | undefined>;
}

export interface PersonOptions {
  readonly name: string;
  readonly session: Session;
  /** What the browser says of connections that do not come about. */
  readonly networkTrouble: RegExp;
  readonly address: string;
  /** Undefined for who works without a relay. */
  readonly network: TcpProxy | undefined;
  readonly notebook: Notebook;
}

/** Somebody at a browser with the demo open: what they do, and what they see. */
export class Person {
  readonly name: string;
  readonly session: Session;
  readonly notebook: Notebook;
  page!: Tab;
  /** Errors of their pages and workers that no test has said to expect. */
  readonly troubles: string[] = [];
  readonly #address: string;
  readonly #network: TcpProxy | undefined;
  readonly #networkTrouble: RegExp;
  readonly #expected: RegExp[] = [];

  /** Has the browser open and looks at nothing yet. */
  constructor({ name, session, networkTrouble, address, network, notebook }: PersonOptions) {
    this.name = name;
    this.session = session;
    this.notebook = notebook;
    this.#networkTrouble = networkTrouble;
    this.#address = address;
    this.#network = network;
    session.onTrouble = (words) => this.#note(words);
  }

  /** The network between this browser and the relay, to be broken. From now on the browser may complain about it. */
  get network(): TcpProxy {
    if (this.#network === undefined) throw new Error(`${this.name} has no network to break`);
    this.expectNetworkTrouble();
    return this.#network;
  }

  expectNetworkTrouble(): void {
    this.expectTrouble(this.#networkTrouble);
  }

  /** From now on the browser may complain in these words. */
  expectTrouble(words: RegExp): void {
    this.#expected.push(words);
  }

  /** A tab in which the editor is ready to be typed into; it becomes the one that is acted on. */
  async openTab(): Promise<Tab> {
    this.page = await this.session.openTab();
    await this.page.goto(this.#address);
    await begin(this.page);
    return this.page;
  }

  /** The same person acting in another of their tabs. */
  inTab(page: Tab): Person {
    const there: Person = Object.create(this);
    there.page = page;
    return there;
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.settle();
  }

  /** Waits until a page that has been loaded can be used: also where it loaded itself. */
  async settle(): Promise<void> {
    await begin(this.page);
  }

  async callThemself(name: string): Promise<void> {
    await this.page.fill('[aria-label="Your name"]', name);
  }

  /** By keyboard, key by key, at the cursor. */
  async type(text: string, options: { delayMs?: number } = {}): Promise<void> {
    await focusEditor(this.page);
    await this.page.type(text, options.delayMs);
  }

  /** Puts the cursor at the end of the text, as Ctrl+End does. */
  async goToEnd(): Promise<void> {
    await focusEditor(this.page);
    await this.page.press('Control+End');
  }

  /** The text as the editor shows it; only for texts that fit on a screen. */
  async readEditor(): Promise<string> {
    return this.page.evaluate((editor) => {
      const lines = document.querySelectorAll(`${editor} .cm-line`);
      return Array.from(lines, (line) => {
        const shown = line.cloneNode(true) as HTMLElement;
        for (const widget of shown.querySelectorAll('.cm-ySelectionCaret, .cm-placeholder, .cm-widgetBuffer'))
          widget.remove();
        return shown.textContent ?? '';
      }).join('\n');
    }, EDITOR);
  }

  /** Whose cursors this person sees in the text. */
  cursorsOfOthers(): Promise<string[]> {
    return textsOf(this.page, `${EDITOR} .cm-ySelectionCaret .cm-ySelectionInfo`);
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
    await this.page.fill('[aria-label="New record"]', title);
    await this.page.click('#record-form button');
  }

  /** The titles in the list, in its order. */
  records(): Promise<string[]> {
    return textsOf(this.page, '[role="list"][aria-label="Records"] .title');
  }

  status(): Promise<RoomStatus> {
    return this.page.evaluate(() => mangrove.room.status);
  }

  /** What the line of status tells those who look and those who listen. */
  async shownStatus(): Promise<{ connection: string; sync: string; pending: number; root: string; words: string }> {
    const shown = await this.page.evaluate(() => {
      const line = document.querySelector<HTMLElement>('[role="status"]');
      return { ...line?.dataset, words: line?.textContent ?? '' } as Readonly<Record<string, string>>;
    });
    const { connection = '', sync = '', pending = '', root = '', words = '' } = shown;
    return { connection, sync, pending: Number(pending), root, words };
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
    if (this.#expected.some((words) => words.test(trouble))) return;
    this.troubles.push(`${this.name}: ${trouble}`);
  }
}

/** What a page that has just been loaded needs before anybody acts in it. */
async function begin(page: Tab): Promise<void> {
  await until('the editor', () => page.evaluate((editor) => document.querySelector(editor) !== null, EDITOR), {
    withinMs: OPEN_MS_MAX,
    explain: () => page.evaluate(() => document.body.innerText),
  });
  await page.evaluate(() => {
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
}

async function focusEditor(page: Tab): Promise<void> {
  await page.evaluate((editor) => document.querySelector<HTMLElement>(editor)?.focus(), EDITOR);
}

function textsOf(page: Tab, selector: string): Promise<string[]> {
  return page.evaluate(
    (selector) => Array.from(document.querySelectorAll(selector), ({ textContent }) => textContent ?? ''),
    selector,
  );
}
