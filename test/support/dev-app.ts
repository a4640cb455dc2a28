import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { until } from './until.js';

const CLIENT = fileURLToPath(new URL('../../packages/client/dist/index.js', import.meta.url));
const PAGE =
  '<!doctype html><title>An app</title><link rel="icon" href="data:," /><script type="module" src="/main.js"></script>';

/** An app under Vite's development server, whose one module a test writes and writes anew. */
export interface DevApp {
  readonly url: string;
  /** As somebody saves the file. */
  write(main: string): Promise<void>;
  close(): Promise<void>;
}

export async function openDevApp(main: string): Promise<DevApp> {
  const root = await mkdtemp(join(tmpdir(), 'mangrove-dev-'));
  const write = (code: string): Promise<void> => writeFile(join(root, 'main.js'), code);
  await writeFile(join(root, 'index.html'), PAGE);
  await write(main);
  const server = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    resolve: { alias: { '@mangrove/client': CLIENT } },
    server: { port: 0, host: '127.0.0.1', fs: { strict: false } },
  });
  // What is saved before it watches would be nothing new to it.
  await until('the watcher', () => server.watcher.getWatched()[root]?.includes('main.js') ?? false);
  await server.listen();
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('the development server has no address');
  return {
    url,
    write,
    close: async () => {
      await server.close();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
