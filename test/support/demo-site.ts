import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';
import { serve } from '../../demo/server.mjs';

const DEMO = fileURLToPath(new URL('../../demo/', import.meta.url));

/** The built demo without its embedded relay: pages are told where their relay is, which is behind a proxy. */
export interface DemoSite {
  readonly port: number;
  address(room: string, relay: string): string;
  close(): Promise<void>;
}

/** `relay` of an address that has none. */
export const LOCAL_ONLY = 'none';

/** At any free port, and of the usual build, unless said otherwise. */
export async function openDemoSite(options: { port?: number; dist?: string } = {}): Promise<DemoSite> {
  const { url, close } = await serve({ port: 0, ...options, relay: false });
  return {
    port: Number(new URL(url).port),
    address: (room, relay) => `${url}/?${new URLSearchParams({ room, relay })}`,
    close,
  };
}

declare global {
  /** Of another edition than the usual: which. */
  var edition: string | undefined;
}

export interface Edition {
  /** What it says of itself. */
  readonly name: string;
  /** Of its database; by default that of this version. */
  readonly databaseVersion?: number;
}

/** A build of the demo as it may be after the next release: it says of itself that it is another, and is the same besides. */
export async function buildEdition(edition: Edition | string): Promise<{ dist: string; remove(): Promise<void> }> {
  const { name, databaseVersion }: Edition = typeof edition === 'string' ? { name: edition } : edition;
  const dist = await mkdtemp(join(tmpdir(), 'mangrove-demo-'));
  let isVersionSet = databaseVersion === undefined;
  const inWorker: Plugin = {
    name: 'database-version',
    transform: (code, id) => {
      if (isVersionSet || !id.endsWith('/stores/idb-open.js')) return undefined;
      const changed = code.replace(/const VERSION = \d+;/, `const VERSION = ${databaseVersion};`);
      isVersionSet = changed !== code;
      return changed;
    },
  };
  await build({
    root: DEMO,
    configFile: join(DEMO, 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: dist, emptyOutDir: true },
    worker: { plugins: () => [inWorker] },
    plugins: [
      {
        name: 'edition',
        transform: (code, id) =>
          id.endsWith('/demo/src/main.ts') ? `${code}\nglobalThis.edition = ${JSON.stringify(name)};` : undefined,
      },
    ],
  });
  if (!isVersionSet) throw new Error('the version of the database stands elsewhere now');
  return { dist, remove: () => rm(dist, { recursive: true, force: true }) };
}
