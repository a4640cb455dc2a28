// npm run bench:lambda [-- --smoke]: what custom merges cost. See bench/README.md.
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { buildPackages } from '../../scripts/lib/build.mjs';
import { ensureInstall } from '../../scripts/lib/ensure-install.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { publishResults, rounded, toFourDigits } from '../support/publish.mjs';

const WHOLE = { rounds: 40, merges: 50, colds: 10 };
const SMOKE = { rounds: 2, merges: 5, colds: 1 };

await main(async () => {
  const isSmoke = parseArgs({ options: { smoke: { type: 'boolean' } } }).values.smoke === true;
  await ensureInstall();
  await buildPackages();
  // Only now: they need what was just installed and built.
  const { measure } = await import('./measure.mjs');
  const { render } = await import('./report.mjs');
  const loadBefore = loadNow();
  const measured = await measure(isSmoke ? SMOKE : WHOLE);
  const machine = { ...describeMachine(tmpdir()), loadBefore, loadAfter: loadNow() };
  const results = { machine, tree: describeTree(), ...rounded(measured, toFourDigits) };
  const report = render(results);
  await publishResults({
    report,
    isWhole: !isSmoke,
    files: { 'lambda.json': `${JSON.stringify(results, null, 2)}\n`, 'lambda.md': report },
  });
});
