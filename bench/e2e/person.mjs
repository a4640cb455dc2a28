import { within } from '../support/clock.mjs';

/** One browser with its own way through the network to the server. */
export class Person {
  name;
  profile;
  proxy;
  /** How far the driver's clock is ahead of the page's. */
  clock = { aheadMs: 0, roundTripMs: 0 };

  constructor(name, profile, proxy) {
    this.name = name;
    this.profile = profile;
    this.proxy = proxy;
    // Refused connections are part of the bench; anything else that a page throws is not.
    profile.page.on('pageerror', (error) => console.error(`${name}: ${error.stack ?? error}`));
  }

  async open(siteUrl, options) {
    await this.profile.page.goto(siteUrl);
    await this.profile.page.waitForFunction(() => globalThis.bench !== undefined);
    const url = `ws://127.0.0.1:${this.proxy.port}`;
    await within(20_000, `connecting ${this.name}`, this.call('connect', { ...options, url }));
  }

  /** Calls a function of the page's `bench`. */
  call(name, argument) {
    return this.profile.page.evaluate(([name, argument]) => globalThis.bench[name](argument), [name, argument]);
  }

  async setClock() {
    this.clock = await this.call('measureClock');
  }

  /** A time of the page on the driver's clock. */
  toOurs(pageMs) {
    return pageMs + this.clock.aheadMs;
  }

  async waitUntil(what, name, isDone, timeoutMs) {
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      const value = await this.call(name);
      if (isDone(value)) return value;
      if (Date.now() > endMs) throw new Error(`${this.name}: ${what} took longer than ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
