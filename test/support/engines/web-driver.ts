import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { until } from '../until.js';

export interface WebDriverOptions {
  readonly program: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
}

/** A driver process and the one session that it can have, spoken to in the W3C protocol. */
export class WebDriver {
  readonly #child: ChildProcess;
  readonly #address: string;
  #session = '';

  /** With the browser that the capabilities name. */
  static async start(
    { program, port, env, onLine }: WebDriverOptions,
    capabilities: Readonly<Record<string, unknown>>,
  ): Promise<WebDriver> {
    // A group of its own, which the browser and its helpers stay in: so all of it can be ended at once.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, `--port=${port}`], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
    const driver = new WebDriver(child, `http://127.0.0.1:${port}`);
    await until('the driver', () => driver.#isReady());
    const { sessionId } = (await driver.#call('POST', '/session', {
      capabilities: { alwaysMatch: capabilities },
    })) as { sessionId: string };
    driver.#session = `/session/${sessionId}`;
    return driver;
  }

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.#address = address;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the driver does not run');
    return this.#child.pid;
  }

  get(path: string): Promise<unknown> {
    return this.#call('GET', this.#session + path);
  }

  post(path: string, body: object = {}): Promise<unknown> {
    return this.#call('POST', this.#session + path, body);
  }

  delete(path: string): Promise<unknown> {
    return this.#call('DELETE', this.#session + path);
  }

  /** The driver, the browser and its helpers. */
  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    const exited = exitCode === null && signalCode === null ? once(this.#child, 'exit') : undefined;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nobody of it is left.
    }
    await exited;
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.#address}/status`)).ok;
    } catch {
      return false;
    }
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(this.#address + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const { value } = (await response.json()) as { value: unknown };
    if (response.ok) return value;
    const { error, message } = value as { error: string; message: string };
    throw new Error(`${method} ${path.replace(this.#session, '')}: ${error}: ${message}`);
  }
}
