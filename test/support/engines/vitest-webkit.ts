import { defineBrowserProvider } from '@vitest/browser';
import type { BrowserProvider, BrowserProviderOption } from 'vitest/node';
import type { Session } from './engine.js';
import { openWebKit } from './webkit.js';

/** Lets Vitest run tests inside of pages of WebKitGTK, which none of its own providers can drive. */
export function webkit(): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'webkit',
    supportedBrowser: ['webkit'],
    providerFactory: () => new WebKitProvider(),
  });
}

class WebKitProvider implements BrowserProvider {
  readonly name = 'webkit';
  readonly supportsParallelism = false;
  readonly #engine = openWebKit();
  #session: Promise<Session> | undefined;

  async openPage(_sessionId: string, url: string): Promise<void> {
    this.#session ??= this.#engine.open();
    const tab = await (await this.#session).openTab();
    await tab.goto(url);
  }

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  async close(): Promise<void> {
    await (await this.#session)?.close();
    this.#session = undefined;
  }
}
