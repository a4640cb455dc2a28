// A worker in workerd: `workerd.mjs <data folder> <worker>`. Its own process listens; this one has started it and does nothing more.
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { build } from 'vite';
import { listening } from '../../e2e/servers/listening.mjs';
import { NO_RATES } from '../no-rates.mjs';

const [folder, worker] = process.argv.slice(2);

const miniflare = new Miniflare({
  modules: [{ type: 'ESModule', path: 'worker.mjs', contents: await bundle(worker) }],
  compatibilityDate: '2026-04-01',
  compatibilityFlags: ['nodejs_compat'],
  bindings: { RATES: NO_RATES },
  durableObjects: { ROOMS: { className: 'Room', useSQLite: true } },
  durableObjectsPersist: folder,
  host: '127.0.0.1',
  port: 0,
  cf: false,
});
listening(Number((await miniflare.ready).port));
process.on('SIGTERM', async () => {
  await miniflare.dispose();
  process.exit(0);
});

async function bundle(name) {
  const { output } = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['workerd', 'worker', 'import', 'default'] },
    ssr: { target: 'webworker', noExternal: true },
    build: {
      write: false,
      ssr: true,
      minify: false,
      target: 'es2023',
      rolldownOptions: {
        input: fileURLToPath(new URL(`../workers/${name}.mjs`, import.meta.url)),
        external: [/^node:/, /^cloudflare:/],
      },
    },
  });
  return output[0].code;
}
