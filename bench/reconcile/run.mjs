// npm run bench:reconcile: finding what two sides do not share, beside the peers, and the claims. See bench/README.md.
import { main } from '../../scripts/lib/run.mjs';
import { ensureReady } from '../support/ensure-ready.mjs';
import { Kept } from './kept.mjs';
import { readSettings } from './settings.mjs';

await main(async () => {
  const { settings, only, isFresh, isWhole } = readSettings(process.argv.slice(2));
  await ensureReady();
  // Only now: it needs what was just installed and built.
  const { measure } = await import('./measure.mjs');
  const { publish } = await import('./publish.mjs');
  const kept = new Kept(settings);
  if (isFresh) kept.forget();
  await publish(await measure({ settings, only, kept }), { isWhole });
  if (isWhole) kept.forget();
});
