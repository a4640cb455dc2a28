// npm run bench:browser: documents and records in one browser, beside the peers, all in one run. See bench/README.md.
import { main } from '../../scripts/lib/run.mjs';
import { ensureReady } from '../support/ensure-ready.mjs';
import { readSettings } from './settings.mjs';

await main(async () => {
  const settings = readSettings(process.argv.slice(2));
  await ensureReady();
  // Only now: it needs what was just installed and built.
  const { measure } = await import('./measure.mjs');
  const { publish } = await import('./publish.mjs');
  await publish(await measure(settings));
});
