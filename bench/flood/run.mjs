// npm run bench:flood: one socket floods a room in which others write. See bench/README.md.
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { buildPackages } from '../../scripts/lib/build.mjs';
import { ensureInstall } from '../../scripts/lib/ensure-install.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { publishResults, rounded, toFourDigits } from '../support/publish.mjs';
import { render } from './report.mjs';

const WHOLE = { calmMs: 20_000, floodMs: 60_000 };
const SMOKE = { calmMs: 3_000, floodMs: 8_000 };

await main(async () => {
  const isSmoke = parseArgs({ options: { smoke: { type: 'boolean' } } }).values.smoke === true;
  await ensureInstall();
  await buildPackages();
  // Only now: it needs what was just installed and built.
  const { measure } = await import('./measure.mjs');
  const loadBefore = loadNow();
  const measured = await measure(isSmoke ? SMOKE : WHOLE);
  const machine = { ...describeMachine(tmpdir()), loadBefore, loadAfter: loadNow() };
  const results = { machine, tree: describeTree(), ...rounded(measured, toFourDigits) };
  const report = render(results);
  await publishResults({
    report,
    isWhole: !isSmoke,
    files: { 'flood.json': `${JSON.stringify(results, null, 2)}\n`, 'flood.md': report },
  });
});
