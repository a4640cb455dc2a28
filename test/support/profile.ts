import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, Session } from './engines/engine.js';

/** A browser profile on disk, which a restart of the browser finds again. */
export class Profile {
  readonly folder: string;
  readonly #engine: Engine;
  #session: Session | undefined;

  static async create(engine: Engine): Promise<Profile> {
    return new Profile(await mkdtemp(join(tmpdir(), 'mangrove-profile-')), engine);
  }

  private constructor(folder: string, engine: Engine) {
    this.folder = folder;
    this.#engine = engine;
  }

  async open(): Promise<Session> {
    this.#session = await this.#engine.open(this.folder);
    return this.#session;
  }

  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
  }

  /** Its browser, without a warning. */
  async kill(): Promise<void> {
    await this.#session?.kill();
    this.#session = undefined;
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
