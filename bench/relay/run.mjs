// npm run bench:relay: the relay beside other servers, under the same loads. See bench/README.md.
import { main } from '../../scripts/lib/run.mjs';
import { ensureReady } from '../support/ensure-ready.mjs';
import { Kept } from './kept.mjs';
import { readSettings } from './settings.mjs';

await main(async () => {
  const { settings, only, loads, minutes, isFresh, isWhole } = readSettings(process.argv.slice(2));
  await ensureReady();
  // Only now: it needs what was just installed and built.
  const { measure } = await import('./measure.mjs');
  const { publish } = await import('./publish.mjs');
  const kept = isWhole ? new Kept(settings) : undefined;
  if (isFresh) kept?.forget();
  const results = await measure({ settings, only, loads, kept, stopAtMs: Date.now() + minutes * 60_000 });
  await publish(results, { isWhole });
  // What is kept has been published; the next run measures anew.
  if (Number.isFinite(minutes) === false) kept?.forget();
});
