import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeProfile, openBrowser, removeProfile } from '../support/chromium.mjs';
import { within } from '../support/clock.mjs';

/** The page's own call for its memory answers at once, not when garbage is collected next. */
const ARGS = ['--enable-blink-features=ForceEagerMeasureMemory'];

/** One profile, and the browsers that are opened with it one after the other. */
export class Stage {
  #profile;
  #browser;
  #siteUrl;
  #stepMsMax;

  static async open({ dataFolder, site, settings }) {
    const stage = new Stage();
    stage.#profile = await makeProfile(dataFolder);
    stage.#siteUrl = site.url;
    stage.#stepMsMax = settings.stepSecondsMax * 1_000;
    return stage;
  }

  /** Closes the browser, if there is one, and opens another with the same profile. */
  async restart() {
    await this.stop();
    this.#browser = await openBrowser(this.#profile, ARGS);
    this.#browser.page.on('pageerror', (error) => console.error(error.stack ?? error));
  }

  async stop() {
    await this.#browser?.close();
    this.#browser = undefined;
  }

  async close() {
    await this.stop();
    await removeProfile(this.#profile);
  }

  /** @param {string} [query] of the page's address */
  async visit(query = '') {
    const { page } = this.#browser;
    await page.goto(`${this.#siteUrl}${query}`);
    await page.waitForFunction(() => globalThis.bench !== undefined);
  }

  /** Opens a page that opens the document; resolves to what that took. */
  async openDocument(contestant) {
    await this.visit(`?document=${contestant.id}`);
    return within(
      this.#stepMsMax,
      'opening',
      this.#browser.page.evaluate(() => globalThis.opened),
    );
  }

  /** Calls a function of the page's `bench`. */
  call(name, argument) {
    const called = this.#browser.page.evaluate(
      ([name, argument]) => globalThis.bench[name](argument),
      [name, argument],
    );
    return within(this.#stepMsMax, name, called);
  }

  /** CPU of the page's main thread, in ms, while `run` runs. */
  async mainThreadMs(run) {
    const session = await this.#browser.session();
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const before = await taskSeconds(session);
    await run();
    const after = await taskSeconds(session);
    await session.detach();
    return (after - before) * 1_000;
  }

  version() {
    return this.#browser.version();
  }

  /** Bytes of the files in which the browser keeps IndexedDB; while it is closed. */
  async diskBytes() {
    const files = await readdir(this.#profile, { recursive: true });
    const own = files.filter((file) => /[\\/]IndexedDB[\\/]/.test(file));
    const stats = await Promise.all(own.map((file) => stat(join(this.#profile, file))));
    return stats.reduce((sum, one) => sum + (one.isFile() ? one.size : 0), 0);
  }
}

async function taskSeconds(session) {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration').value;
}
