import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** `up`: from the browser to the relay. `down`: from the relay to the browser. */
export type Direction = 'up' | 'down';

/** What passes on one connection, as it arrives at the proxy and whether or not it is held there. */
export type Tap = (direction: Direction, chunk: Buffer, connection: number) => void;

/**
 * A network between one browser and the relay that a test can break: cut it, hold one direction of it, slow it down.
 *
 * Bytes arrive whole and in order or the connection ends, as TCP has it. Holds outlive connections: a new one is held as well.
 */
export class TcpProxy {
  tap: Tap | undefined;
  /** How many connections were ever made. */
  connections = 0;
  readonly #server: Server;
  readonly #held: Record<Direction, boolean> = { up: false, down: false };
  readonly #pipes = new Set<Record<Direction, Pipe>>();
  #targetPort: number;
  #latencyMs = 0;
  #isCut = false;

  static async open(targetPort: number): Promise<TcpProxy> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new TcpProxy(server, targetPort);
  }

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.#targetPort = targetPort;
    server.on('connection', (browser) => this.#accept(browser));
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get isConnected(): boolean {
    return this.#pipes.size > 0;
  }

  /** Drops every connection and refuses new ones. */
  cut(): void {
    this.#isCut = true;
    for (const { up, down } of this.#pipes) {
      up.reset();
      down.reset();
    }
  }

  heal(): void {
    this.#isCut = false;
  }

  /** Lets nothing through in this direction, without closing anything: a stalled network looks like that. */
  hold(direction: Direction): void {
    this.#held[direction] = true;
    for (const pipe of this.#pipes) pipe[direction].hold();
  }

  /** Lets through what was held, and what comes. */
  release(direction: Direction): void {
    this.#held[direction] = false;
    for (const pipe of this.#pipes) pipe[direction].release();
  }

  /** Lets the first `offset` bytes of each connection's stream through, and holds what comes after them. */
  releaseTo(direction: Direction, offset: number): void {
    for (const pipe of this.#pipes) pipe[direction].releaseTo(offset);
  }

  /** Each chunk takes this long in each direction. */
  delay(latencyMs: number): void {
    this.#latencyMs = latencyMs;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #accept(browser: Socket): void {
    if (this.#isCut) {
      browser.resetAndDestroy();
      return;
    }
    const connection = ++this.connections;
    const relay = connect({ port: this.#targetPort, host: '127.0.0.1', noDelay: true });
    browser.setNoDelay(true);
    const pipe = (direction: Direction, from: Socket, to: Socket): Pipe =>
      new Pipe(from, to, {
        isHeld: this.#held[direction],
        latencyMs: () => this.#latencyMs,
        tap: (chunk) => this.tap?.(direction, chunk, connection),
      });
    const pipes = { up: pipe('up', browser, relay), down: pipe('down', relay, browser) };
    this.#pipes.add(pipes);
    for (const socket of [browser, relay]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pipes.delete(pipes);
        browser.destroy();
        relay.destroy();
      });
    }
  }
}

interface PipeOptions {
  readonly isHeld: boolean;
  readonly latencyMs: () => number;
  readonly tap: (chunk: Buffer) => void;
}

/** One direction of one connection. */
class Pipe {
  readonly #to: Socket;
  readonly #from: Socket;
  #waiting: Buffer[] = [];
  #passed = 0;
  /** Bytes of the stream that may pass. */
  #limit: number;

  constructor(from: Socket, to: Socket, { isHeld, latencyMs, tap }: PipeOptions) {
    this.#from = from;
    this.#to = to;
    this.#limit = isHeld ? 0 : Number.POSITIVE_INFINITY;
    from.on('data', (chunk: Buffer) => {
      tap(chunk);
      const arrive = (): void => {
        this.#waiting.push(chunk);
        this.#pass();
      };
      // Timers of one delay fire in the order they were set, so chunks keep theirs.
      if (latencyMs() > 0) setTimeout(arrive, latencyMs());
      else arrive();
    });
    from.on('end', () => to.end());
  }

  hold(): void {
    this.#limit = this.#passed;
  }

  release(): void {
    this.releaseTo(Number.POSITIVE_INFINITY);
  }

  releaseTo(offset: number): void {
    this.#limit = Math.max(this.#passed, offset);
    this.#pass();
  }

  reset(): void {
    this.#from.resetAndDestroy();
  }

  #pass(): void {
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      const room = this.#limit - this.#passed;
      if (room <= 0) return;
      this.#waiting.shift();
      const now = first.subarray(0, room);
      if (now.length < first.length) this.#waiting.unshift(first.subarray(now.length));
      this.#passed += now.length;
      if (!this.#to.destroyed) this.#to.write(now);
    }
  }
}
