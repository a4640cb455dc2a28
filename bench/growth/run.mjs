// npm run bench:growth: a document edited and a record written a million times, through the real client and relay in one process. See
// bench/README.md. Only a whole run writes bench/results.
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { buildPackages } from '../../scripts/lib/build.mjs';
import { ensureInstall } from '../../scripts/lib/ensure-install.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { publishResults } from '../support/publish.mjs';
import { renderDeleted, renderGrowth } from './report.mjs';

const WHOLE = [1_000, 10_000, 100_000, 1_000_000];
const DELETED = [1_000, 10_000, 100_000];
const SMOKE = [1_000, 5_000];

await main(async () => {
  const { values } = parseArgs({ options: { smoke: { type: 'boolean' }, deleted: { type: 'boolean' } } });
  const isSmoke = values.smoke === true;
  await ensureInstall();
  await buildPackages();
  // Only now: it needs what was just installed and built.
  const { measure, measureDeleted } = await import('./measure.mjs');
  const parts = [
    { name: 'growth', measure, steps: WHOLE, render: renderGrowth },
    { name: 'growth-deleted', measure: measureDeleted, steps: DELETED, render: renderDeleted },
  ];
  const only = values.deleted === true ? 'growth-deleted' : undefined;
  for (const { name, measure: run, steps, render } of parts) {
    if (only !== undefined && name !== only) continue;
    const loadBefore = loadNow();
    const measured = await run({ steps: isSmoke ? SMOKE : steps });
    const machine = { ...describeMachine(tmpdir()), loadBefore, loadAfter: loadNow() };
    const results = { machine, tree: describeTree(), ...measured };
    const report = render(results);
    await publishResults({
      report,
      isWhole: !isSmoke,
      files: { [`${name}.json`]: `${JSON.stringify(results, null, 2)}\n`, [`${name}.md`]: report },
    });
  }
  // The engine keeps its timers.
  process.exit(0);
});
