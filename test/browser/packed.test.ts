import type { DocumentHandle, Room } from '@mangrove/client';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findBrowser } from '../../scripts/lib/ensure-browser.mjs';
import { needs } from '../support/engines/abilities.js';
import { findFreePort } from '../support/free-port.js';
import { PackedApp, readQuickStart } from '../support/packed-app.js';

const SEEN_WITHIN_MS = 30_000;
/** Three compilations and an installation, perhaps while other tests run. */
const INSTALLED_WITHIN_MS = 300_000;

const INDEX_HTML = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Quick start</title><link rel="icon" href="data:,"></head>
  <body><script type="module" src="/main.ts"></script></body>
</html>
`;

/** What a careful app would set: nothing is skipped, so the packages' own types are checked as well. */
const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
  },
  files: ['main.ts'],
};

/** A page of the app, and what its console said. */
class Reader {
  readonly page: Page;
  readonly lines: string[] = [];
  /** Warnings count: one of them is that Yjs is there twice. */
  readonly troubles: string[] = [];

  static async arrive(browser: Browser, address: string): Promise<Reader> {
    const context = await browser.newContext();
    const reader = new Reader(await context.newPage());
    await reader.page.goto(address);
    await reader.page.locator('.cm-content').waitFor({ timeout: SEEN_WITHIN_MS });
    return reader;
  }

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.troubles.push(String(error.stack ?? error)));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.troubles.push(message.text());
      else this.lines.push(message.text());
    });
  }

  async type(text: string): Promise<void> {
    await this.page.locator('.cm-content').focus();
    await this.page.keyboard.press('Control+End');
    await this.page.keyboard.type(text);
  }

  /** The text as it is shown, without the carets of others. */
  text(): Promise<string> {
    return this.page.locator('.cm-line').evaluateAll((lines) =>
      lines
        .map((line) => {
          const shown = line.cloneNode(true) as HTMLElement;
          for (const caret of shown.querySelectorAll('.cm-ySelectionCaret, .cm-widgetBuffer')) caret.remove();
          return shown.textContent;
        })
        .join('\n'),
    );
  }

  /** What the worker loads on demand, as a chunk that its bundler has to find. */
  useWhatIsRare(): Promise<number> {
    return this.page.evaluate(async () => {
      const { room, note } = globalThis as unknown as { room: Room; note: DocumentHandle };
      await note.versions.save('Kept');
      return (await new Response(await room.backup()).blob()).size;
    });
  }

  /** The root, where the last line of the quick start has logged that everything is in sync. */
  root(): string | undefined {
    const last = this.lines.findLast((line) => /[0-9a-f]{64}$/.test(line));
    return /^connected in-sync 0 ([0-9a-f]{64})$/.exec(last ?? '')?.[1];
  }
}

const consumers = needs('consumers of packages');

describe.skipIf(consumers.isLacking)(
  `[E2E6] the quick start of the README in an empty Vite app${consumers.why}`,
  () => {
    let app: PackedApp;
    let browser: Browser;

    beforeAll(async () => {
      app = new PackedApp();
      await app.install();
      const executablePath = findBrowser('chromium');
      browser = await chromium.launch({
        args: ['--no-sandbox'],
        ...(executablePath === undefined ? {} : { executablePath }),
      });
      const relay = readQuickStart('install')
        .split('\n')
        .findLast((line) => line.startsWith('npx mangrove-relay '));
      const [, ...args] = relay?.replace('--port 8787', '--port 0').split(' ') ?? [];
      const port = await app.start(args, /ready at http:\/\/127\.0\.0\.1:(\d+)/);
      app.write('index.html', INDEX_HTML);
      app.write('tsconfig.json', JSON.stringify(TSCONFIG));
      const main = readQuickStart('main').replace('ws://localhost:8787', `ws://localhost:${port}`);
      app.write('main.ts', `${main}\nObject.assign(globalThis, { room, note });\n`);
    }, INSTALLED_WITHIN_MS);

    afterAll(async () => {
      await browser?.close();
      await app?.remove();
    });

    async function startVite(...args: readonly string[]): Promise<string> {
      const port = await findFreePort();
      const address = `http://127.0.0.1:${port}/`;
      await app.start(['vite', ...args, '--host', '127.0.0.1', '--port', `${port}`, '--strictPort'], /(Local:)/);
      return address;
    }

    async function expectToWriteTogether(address: string): Promise<void> {
      const anna = await Reader.arrive(browser, address);
      const ben = await Reader.arrive(browser, address);
      const readers = [anna, ben];
      // What an earlier test has written comes from the relay, and a page does not wait for that to let its reader type.
      await expectToBeInSync(anna, ben);
      const before = await ben.text();

      await anna.type('Anna was here. ');
      await expect.poll(() => ben.text(), { timeout: SEEN_WITHIN_MS }).toBe(`${before}Anna was here. `);
      await ben.type('So was Ben. ');
      await expect.poll(() => anna.text(), { timeout: SEEN_WITHIN_MS }).toBe(`${before}Anna was here. So was Ben. `);

      expect(await anna.useWhatIsRare()).toBeGreaterThan(1_000);
      await expectToBeInSync(anna, ben);
      for (const reader of readers) {
        expect(reader.lines).toContain('on the relay’s disk');
        expect(reader.troubles).toEqual([]);
        await reader.page.context().close();
      }
    }

    /** By what the quick start itself logs: in sync, nothing waiting, equal roots; and by what the editors show. */
    async function expectToBeInSync(one: Reader, other: Reader): Promise<void> {
      const standing = async (reader: Reader) => ({ root: reader.root(), text: await reader.text() });
      await vi.waitFor(
        async () => {
          const [a, b] = await Promise.all([standing(one), standing(other)]);
          expect(a.root, `last logged: ${one.lines.at(-1)}`).toBeDefined();
          expect(a).toEqual(b);
        },
        { timeout: SEEN_WITHIN_MS },
      );
    }

    test('installs one Yjs, which the app brings', async () => {
      const installed = await app.run('npm', 'ls', 'yjs', 'y-protocols', '--all', '--parseable', '--loglevel=error');
      const places = installed.trim().split('\n');
      for (const name of ['yjs', 'y-protocols'])
        expect(places.filter((place) => place.endsWith(`/${name}`))).toHaveLength(1);
      const client = await import(`${app.folder}/node_modules/@mangrove/client/package.json`, {
        with: { type: 'json' },
      });
      expect(Object.keys(client.default.peerDependencies).sort()).toEqual(['y-protocols', 'yjs']);
      expect(Object.keys(client.default.dependencies)).not.toContain('yjs');
    });

    test('passes the compiler in strict mode with the types of the packages', () => app.typeCheck());

    test('gives two people one editor when it is built', async () => {
      await app.run('npx', 'vite', 'build');
      await expectToWriteTogether(await startVite('preview'));
    });

    test('gives two people one editor in development', async () => {
      await expectToWriteTogether(await startVite());
    });
  },
);
