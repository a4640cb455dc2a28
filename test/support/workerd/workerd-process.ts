import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../free-port.js';
import { readRows, startWorkerd, type WorkerdRelay } from './workerd-relay.js';

/** The relay in a workerd of its own, as `RelayProcess` is the one in Node. */
export class WorkerdProcess {
  readonly port: number;
  readonly dataDir: string;
  readonly #forgetful: boolean;
  #relay: WorkerdRelay | undefined;

  static async start({ forgetful = false } = {}): Promise<WorkerdProcess> {
    const process = new WorkerdProcess(
      await findFreePort(),
      await mkdtemp(join(tmpdir(), 'mangrove-workerd-')),
      forgetful,
    );
    await process.start();
    return process;
  }

  private constructor(port: number, dataDir: string, forgetful: boolean) {
    this.port = port;
    this.dataDir = dataDir;
    this.#forgetful = forgetful;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.#relay = await startWorkerd({ storage: this.dataDir }, { forgetful: this.#forgetful, port: this.port });
  }

  /** In the middle of whatever it does: all objects are gone, their databases stay. */
  async kill(): Promise<void> {
    await this.#relay?.close();
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async version(room: string): Promise<{ offset: number; vector: Record<string, number>; root: string } | undefined> {
    const response = await fetch(`${this.url}/rooms/${encodeURIComponent(room)}/version`);
    return response.ok
      ? ((await response.json()) as { offset: number; vector: Record<string, number>; root: string })
      : undefined;
  }

  async countRows(room: string, tables: readonly string[]): Promise<readonly number[]> {
    const rows = await readRows(this.url, room);
    return tables.map((table) => rows.tables[table] ?? 0);
  }
}
