import { Miniflare } from 'miniflare';
import { expect, test } from 'vitest';
import { bundleWorker } from '../support/workerd/bundle.js';
import type { Outcome } from '../support/workerd/vitest-in-worker.js';

const workerd = new Miniflare({
  modules: [
    { type: 'ESModule', path: 'worker.mjs', contents: await bundleWorker('store-worker.ts', { sources: true }) },
  ],
  compatibilityDate: '2026-04-01',
  durableObjects: { STORE: { className: 'StoreUnderTest', useSQLite: true } },
  cf: false,
});
const response = await workerd.dispatchFetch('http://store/');
const outcomes = (await response.json()) as readonly Outcome[];
await workerd.dispose();

for (const { title, error, skipped } of outcomes)
  test(title, ({ skip }) => {
    if (skipped !== undefined) return skip(skipped);
    expect(error).toBeUndefined();
  });
