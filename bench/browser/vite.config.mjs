import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

export const PAGE_FOLDER = path('../.cache/browser-page');

/** @param {string} packages the folder with what was packed */
export const pageConfig = (packages) =>
  defineConfig({
    configFile: false,
    logLevel: 'error',
    root: path('page'),
    resolve: {
      // The packages as they are published; with the bench's own Yjs, as the contestants must share one.
      alias: {
        '@mangrove/client': `${packages}/client/dist/index.js`,
        '@mangrove/protocol': `${packages}/protocol/dist/index.js`,
      },
      dedupe: ['yjs', 'y-protocols', 'lib0'],
    },
    // What PouchDB's dependencies take for granted.
    define: { global: 'globalThis' },
    build: { target: 'es2022', outDir: PAGE_FOLDER, emptyOutDir: true, modulePreload: { polyfill: false } },
    worker: { format: 'es' },
  });
