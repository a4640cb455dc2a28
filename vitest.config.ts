import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import type { BrowserInstanceOption } from 'vitest/node';
import { findBrowser } from './scripts/lib/ensure-browser.mjs';
import { webkit } from './test/support/engines/vitest-webkit.js';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

// Tests run against the sources, so that a failure points at the line to change and no build can be stale. The
// exceptions are `runtimes` and `browser`, which are about what is shipped: processes and pages of the built packages.
const sources = {
  alias: [
    { find: /^@mangrove\/protocol$/, replacement: path('packages/protocol/src/index.ts') },
    { find: /^@mangrove\/protocol\/simulation$/, replacement: path('packages/protocol/src/simulation/index.ts') },
    { find: /^@mangrove\/client$/, replacement: path('packages/client/src/index.ts') },
    { find: /^@mangrove\/client\/worker$/, replacement: path('packages/client/src/worker/entry.ts') },
    { find: /^@mangrove\/lambda$/, replacement: path('packages/lambda/src/index.ts') },
    { find: /^@mangrove\/lambda\/node$/, replacement: path('packages/lambda/src/node.ts') },
    { find: /^@mangrove\/relay\/auth$/, replacement: path('packages/relay/src/auth.ts') },
    { find: /^@mangrove\/relay\/node$/, replacement: path('packages/relay/src/runtimes/node.ts') },
    // In Node comlink resolves to its UMD build, in a bundle to its ES module; one module everywhere.
    { find: /^comlink$/, replacement: path('node_modules/comlink/dist/esm/comlink.mjs') },
  ],
};

// One engine a run, as one browser at a time is enough for a machine; `npm run test:browsers` makes a run for each.
const engine = process.env.MANGROVE_BROWSER ?? 'chromium';

function launch(name: 'chromium' | 'firefox', options: { args?: string[]; channel?: string }) {
  const executablePath = findBrowser(name);
  return playwright({ launchOptions: { ...options, ...(executablePath === undefined ? {} : { executablePath }) } });
}

const instances: Record<string, BrowserInstanceOption> = {
  chromium: { browser: 'chromium', provider: launch('chromium', { args: ['--no-sandbox'] }) },
  firefox: { browser: 'firefox', provider: launch('firefox', { channel: 'moz-firefox' }) },
  webkit: { browser: 'webkit', provider: webkit(), headless: false },
};
const instance = instances[engine];
if (instance === undefined)
  throw new Error(`MANGROVE_BROWSER is none of ${Object.keys(instances).join(', ')}: ${engine}`);

/** What a test waits for comes when the machine has time for it: the usual second is too short for a busy one. */
const expect = { poll: { timeout: 20_000, interval: 50 } };

export default defineConfig({
  test: {
    projects: [
      {
        resolve: sources,
        test: {
          name: 'unit',
          expect,
          include: ['packages/*/src/**/*.test.ts', 'demo/src/**/*.test.ts', 'test/{contracts,interop}/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        resolve: sources,
        test: { name: 'simulation', expect, include: ['test/simulation/**/*.test.ts'], testTimeout: 120_000 },
      },
      {
        resolve: sources,
        test: {
          name: 'fuzz',
          expect,
          include: ['test/fuzz/**/*.test.ts'],
          testTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'runtimes',
          expect,
          include: ['test/runtimes/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      // What holds for a relay in Node holds on Cloudflare, also where the object is made anew after whatever it does.
      ...['workerd', 'workerd-forgetful'].map((name) => ({
        test: {
          name,
          expect,
          include: [
            'test/runtimes/{admission,catch-up,floors,forwarding,refusals,transfer}.test.ts',
            ...(name === 'workerd' ? ['test/workerd/**/*.test.ts'] : []),
          ],
          env: { MANGROVE_RELAY: name },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      })),
      {
        resolve: sources,
        // Found by scanning the sources up front: a dependency discovered while a test runs would reload its page.
        optimizeDeps: { entries: ['packages/client/src/**/*.ts', 'test/browser/engine/**/*.ts'] },
        worker: { format: 'es' },
        test: {
          name: 'engine',
          expect,
          include: ['test/browser/engine/**/*.test.ts'],
          testTimeout: 60_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            instances: [instance],
          },
        },
      },
      {
        test: {
          name: 'browser',
          expect,
          include: ['test/browser/**/*.test.ts'],
          exclude: ['test/browser/engine/**', '**/node_modules/**'],
          // One page's timers must not wait for another's CPU: the files run one after the other.
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
