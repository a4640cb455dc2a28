import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findFreePort } from './free-port.js';

const CLI = fileURLToPath(new URL('../../packages/relay/dist/cli.js', import.meta.url));
const START_MS_MAX = 20_000;

/** The relay as it is shipped: the command, in a process of its own, with its data on a disk. */
export class RelayProcess {
  readonly port: number;
  readonly dataDir: string;
  /** What it said, for a test that failed. */
  output = '';
  #child: ChildProcess | undefined;

  /** Reserves a port and a folder; nothing runs yet. */
  static async prepare(): Promise<RelayProcess> {
    return new RelayProcess(await findFreePort(), await mkdtemp(join(tmpdir(), 'mangrove-relay-')));
  }

  /** What it is given beside its port and its folder. */
  args: readonly string[] = [];

  static async start(): Promise<RelayProcess> {
    const relay = await RelayProcess.prepare();
    await relay.start();
    return relay;
  }

  private constructor(port: number, dataDir: string) {
    this.port = port;
    this.dataDir = dataDir;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('the relay does not run');
    return this.#child.pid;
  }

  /** A process that remembers nothing but its data. */
  async restart(): Promise<void> {
    await this.#end('SIGTERM');
    await this.start();
  }

  /** Also after it was killed: the same port and the same data. */
  async start(): Promise<void> {
    const args = [CLI, '--port', String(this.port), '--data', this.dataDir, ...this.args];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`the relay ${why}: ${this.output}`));
      const timer = setTimeout(() => fail('did not get ready'), START_MS_MAX);
      const hear = (chunk: Buffer): void => {
        this.output += chunk.toString();
        if (!this.output.endsWith('\n') || !/is ready at/.test(chunk.toString())) return;
        clearTimeout(timer);
        resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${code ?? signal}`);
      });
    });
  }

  /** Without a warning, as a power cut or the kernel's OOM killer does it. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** What the relay itself says of a room, past every proxy. Undefined while nobody was there. */
  async version(room: string): Promise<{ offset: number; vector: Record<string, number>; root: string } | undefined> {
    const response = await fetch(`${this.url}/rooms/${encodeURIComponent(room)}/version`);
    return response.ok
      ? ((await response.json()) as { offset: number; vector: Record<string, number>; root: string })
      : undefined;
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}
