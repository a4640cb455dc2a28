import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, Session } from './engines/engine.js';

/** A browser profile on disk, which a restart of the browser finds again. */
export class Profile {
  readonly folder: string;
  readonly #engine: Engine;
  #session: Session | undefined;

  static async create(engine: Engine, folder?: string): Promise<Profile> {
    return new Profile(folder ?? (await mkdtemp(join(tmpdir(), 'mangrove-profile-'))), engine);
  }

  private constructor(folder: string, engine: Engine) {
    this.folder = folder;
    this.#engine = engine;
  }

  /** As a person does who allows no cookies and no site data, in the settings of Chromium. */
  async denySiteData(): Promise<void> {
    const preferences = { profile: { default_content_setting_values: { cookies: 2 } } };
    await mkdir(join(this.folder, 'Default'), { recursive: true });
    await writeFile(join(this.folder, 'Default', 'Preferences'), JSON.stringify(preferences));
  }

  /** As a disk does that loses a file: Chromium opens no database of the site any more. */
  async breakDatabases(): Promise<void> {
    const folder = join(this.folder, 'Default', 'IndexedDB');
    for (const name of await readdir(folder, { recursive: true })) {
      if (/MANIFEST-\d+$/.test(name)) await rm(join(folder, name));
    }
  }

  /** As a disk does that turns one bit in the middle of each log of a database: Chromium throws the database away and says nothing. */
  async spoilDatabases(): Promise<void> {
    const folder = join(this.folder, 'Default', 'IndexedDB');
    for (const name of await readdir(folder, { recursive: true })) {
      if (!/\.leveldb\/\d+\.log$/.test(name)) continue;
      const bytes = await readFile(join(folder, name));
      const at = Math.floor(bytes.length / 2);
      if (bytes.length > 0) bytes[at] = (bytes[at] as number) ^ 1;
      await writeFile(join(folder, name), bytes);
    }
  }

  /** The databases of the site are gone, what is in buckets is not. */
  async forgetDatabases(): Promise<void> {
    await rm(join(this.folder, 'Default', 'IndexedDB'), { recursive: true, force: true });
  }

  async forgetLocalStorage(): Promise<void> {
    await rm(join(this.folder, 'Default', 'Local Storage'), { recursive: true, force: true });
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
