import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openChromium } from '../engines/chromium.js';
import type { Engine } from '../engines/engine.js';
import { engineName, openEngine } from '../engines/engines.js';

/** What a browser keeps IndexedDB in. Chromium has two: the one that Debian's build uses by itself, and the one that is being rolled out. */
export interface Backend {
  readonly name: string;
  /** Whether a bit that flips on the disk is noticed before anybody reads it. */
  readonly hasChecksums: boolean;
  openEngine(): Engine;
  /** Whether the profile has the site's database in it, and not in the other one. */
  isIn(profileFolder: string): Promise<boolean>;
}

const LEVELDB: Backend = {
  name: 'LevelDB',
  hasChecksums: true,
  openEngine: () => openChromium(),
  isIn: async (folder) => (await folders(folder)).some((name) => name.endsWith('.indexeddb.leveldb')),
};

const SQLITE: Backend = {
  name: 'SQLite',
  hasChecksums: false,
  openEngine: () => openChromium({ features: ['IdbSqliteBackingStore', 'IdbSqliteOnDiskRollout'] }),
  isIn: async (folder) => {
    const names = await folders(folder);
    return names.length > 0 && names.every((name) => !name.endsWith('.leveldb'));
  },
};

export const chromiumBackends: readonly Backend[] = [LEVELDB, SQLITE];

/** Those of the engine that this run is about. */
export const backends: readonly Backend[] =
  engineName === 'chromium'
    ? chromiumBackends
    : [{ name: 'its own', hasChecksums: false, openEngine, isIn: async () => true }];

function folders(profileFolder: string): Promise<string[]> {
  return readdir(join(profileFolder, 'Default', 'IndexedDB'));
}
