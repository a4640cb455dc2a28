import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

export const PAGE_FOLDER = path('../.cache/e2e-page');

export default defineConfig({
  configFile: false,
  logLevel: 'warn',
  root: path('page'),
  resolve: {
    // The packages as this tree builds them; with the bench's own Yjs, as the contestants must share one.
    alias: {
      '@mangrove/client': path('../../packages/client/dist/index.js'),
      '@mangrove/protocol': path('../../packages/protocol/dist/index.js'),
    },
    dedupe: ['yjs', 'y-protocols', 'lib0'],
  },
  build: { target: 'es2022', outDir: PAGE_FOLDER, emptyOutDir: true, modulePreload: { polyfill: false } },
  worker: { format: 'es' },
});
