import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { contentSecurityPolicy } from './src/csp.mjs';

const RELAY_URL = 'http://127.0.0.1:8787';
const SERVICE_WORKER = 'service-worker.js';

/** In the built page only: the development server needs what the policy forbids. */
const policyInPage: Plugin = {
  name: 'mangrove-content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy },
      injectTo: 'head-prepend',
    },
  ],
};

/** The list is read from what was written, as the client's worker is a build of its own that no other hook lists. */
const serviceWorker: Plugin = {
  name: 'mangrove-service-worker',
  apply: 'build',
  writeBundle({ dir = '' }) {
    const files = readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== SERVICE_WORKER && !entry.name.endsWith('.map'))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    const hash = createHash('sha256');
    for (const file of files) hash.update(readFileSync(file));
    const paths = files.map((file) => `/${relative(dir, file).split(sep).join('/')}`);
    const source = readFileSync(fileURLToPath(new URL(`src/${SERVICE_WORKER}`, import.meta.url)), 'utf8')
      .replace('__VERSION__', hash.digest('hex').slice(0, 16))
      .replace("['__FILES__']", JSON.stringify(paths));
    writeFileSync(join(dir, SERVICE_WORKER), source);
  },
};

export default defineConfig({
  plugins: [policyInPage, serviceWorker],
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  worker: { format: 'es' },
  // `npm run dev` beside `npx mangrove-relay --port 8787`: same origin, as in production.
  server: { proxy: { '/parties': { target: RELAY_URL, ws: true }, '/rooms': RELAY_URL } },
});
