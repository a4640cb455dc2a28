import { connect, createServer } from 'node:net';
import { now } from './clock.mjs';

const HEADER_END = Buffer.from('\r\n\r\n');

/**
 * The network between one browser and the server: counts the TCP payload of each direction and can be cut.
 *
 * `up` is from the browser to the server. The HTTP upgrade that opens a WebSocket is counted apart from what follows it.
 * Modes: `open`; `cut`, where connections are reset and new ones refused; `gated`, where a new connection is held at the
 * door until {@link open}, so that two browsers start at the same moment however long each waits between its attempts.
 */
export class TcpProxy {
  /** Every chunk with its time, while this is an array. */
  taps;
  #server;
  #targetPort;
  #mode = 'open';
  #held = new Set();
  #sockets = new Set();
  #bytes = { up: 0, down: 0, upgradeUp: 0, upgradeDown: 0 };
  #knocked = () => {};

  static async listen(targetPort) {
    // Paused: what a held browser has sent already waits in its socket.
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    await new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new TcpProxy(server, targetPort);
  }

  constructor(server, targetPort) {
    this.#server = server;
    this.#targetPort = targetPort;
    server.on('connection', (browser) => this.#accept(browser));
  }

  get port() {
    return this.#server.address().port;
  }

  /** Bytes so far: `up` and `down` after the upgrades, `upgradeUp` and `upgradeDown` the upgrades. */
  count() {
    return { ...this.#bytes };
  }

  cut() {
    this.#mode = 'cut';
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Resolves when a browser stands at the door. */
  gate() {
    this.#mode = 'gated';
    return new Promise((resolve) => {
      this.#knocked = resolve;
    });
  }

  open() {
    this.#mode = 'open';
    for (const browser of this.#held) this.#join(browser);
    this.#held.clear();
  }

  async close() {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(browser) {
    browser.on('error', () => {});
    if (this.#mode === 'cut') {
      browser.resetAndDestroy();
      return;
    }
    this.#sockets.add(browser);
    browser.on('close', () => {
      this.#sockets.delete(browser);
      this.#held.delete(browser);
    });
    if (this.#mode === 'open') return this.#join(browser);
    this.#held.add(browser);
    this.#knocked();
  }

  #join(browser) {
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', noDelay: true });
    this.#sockets.add(server);
    server.on('error', () => {});
    for (const socket of [browser, server]) {
      socket.on('close', () => {
        this.#sockets.delete(server);
        browser.destroy();
        server.destroy();
      });
    }
    this.#pipe('up', browser, server);
    this.#pipe('down', server, browser);
    browser.resume();
  }

  #pipe(direction, from, to) {
    const upgrade = direction === 'up' ? 'upgradeUp' : 'upgradeDown';
    let head = Buffer.alloc(0);
    from.on('data', (chunk) => {
      to.write(chunk);
      let rest = chunk;
      if (head !== undefined) {
        const before = head.length;
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf(HEADER_END);
        const headBytes = end < 0 ? chunk.length : end + HEADER_END.length - before;
        this.#bytes[upgrade] += headBytes;
        rest = chunk.subarray(headBytes);
        if (end >= 0) head = undefined;
      }
      this.#bytes[direction] += rest.length;
      if (rest.length > 0) this.taps?.push({ direction, atMs: now(), chunk: rest });
    });
    from.on('end', () => to.end());
  }
}
