// npm run bench:failover: the tab that owns the replica ends, and another tab goes on. See bench/README.md.
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { buildDemo, buildPackages } from '../../scripts/lib/build.mjs';
import { ensureInstall } from '../../scripts/lib/ensure-install.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { publishResults, rounded } from '../support/publish.mjs';
import { render } from './report.mjs';

const WHOLE = 40;
const SMOKE = 3;

await main(async () => {
  const isSmoke = parseArgs({ options: { smoke: { type: 'boolean' } } }).values.smoke === true;
  await ensureInstall();
  await buildPackages();
  await buildDemo();
  // Only now: it needs what was just installed and built.
  const { measure } = await import('./measure.mjs');
  const loadBefore = loadNow();
  const measured = await measure(isSmoke ? SMOKE : WHOLE);
  const machine = { ...describeMachine(tmpdir()), loadBefore, loadAfter: loadNow() };
  const results = { machine, tree: describeTree(), ...rounded(measured, Math.round) };
  const report = render(results);
  await publishResults({
    report,
    isWhole: !isSmoke,
    files: { 'failover.json': `${JSON.stringify(results, null, 2)}\n`, 'failover.md': report },
  });
});
