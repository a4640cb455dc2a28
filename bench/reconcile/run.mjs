// npm run bench:reconcile: finding what two sides do not share, beside the peers, and the claims. See bench/README.md.
import { main } from '../../scripts/lib/run.mjs';
import { ensureReady } from '../support/ensure-ready.mjs';
import { Kept } from './kept.mjs';
import { readSettings } from './settings.mjs';

await main(async () => {
  const { settings, only, minutes, isFresh, isWhole } = readSettings(process.argv.slice(2));
  await ensureReady();
  // Only now: it needs what was just installed and built.
  const { measure } = await import('./measure.mjs');
  const { publish } = await import('./publish.mjs');
  const kept = new Kept(settings);
  if (isFresh) kept.forget();
  const stopAtMs = Date.now() + minutes * 60_000;
  const results = await measure({ settings, only, kept, stopAtMs });
  await publish(results, { isWhole });
  // What is kept has been published; the next run measures anew.
  if (isWhole && !results.cells.some(({ notMeasured }) => notMeasured)) kept.forget();
});
