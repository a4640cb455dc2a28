// npm run bench:cost: what people who type cost on Cloudflare, from what a room in workerd is measured to do. See bench/README.md.
import { parseArgs } from 'node:util';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { buildPackages } from '../../scripts/lib/build.mjs';
import { ensureInstall } from '../../scripts/lib/ensure-install.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { describeMachine, describeTree } from '../support/machine.mjs';
import { publishResults } from '../support/publish.mjs';
import { render } from './report.mjs';

const SCENES = [
  { people: 10, keyEveryMs: 200, cursors: true },
  { people: 10, keyEveryMs: 200, cursors: false },
  { people: 2, keyEveryMs: 200, cursors: true },
];

await main(async () => {
  const isSmoke = parseArgs({ options: { smoke: { type: 'boolean' } } }).values.smoke === true;
  await ensureInstall();
  await buildPackages();
  // Only now: it needs what was just installed and built.
  const { runnerImport } = await import('vite');
  const { module } = await runnerImport(fromRoot('bench/cost/measure.ts'), { configFile: false });
  const scenes = [];
  for (const scene of SCENES) scenes.push(await module.measure({ ...scene, durationMs: isSmoke ? 3_000 : 20_000 }));
  const results = { machine: describeMachine(fromRoot()), tree: describeTree(), scenes };
  const report = render(results);
  await publishResults({
    report,
    isWhole: !isSmoke,
    files: { 'cost.json': `${JSON.stringify(results, null, 2)}\n`, '../../docs/costs.md': report },
  });
  process.exit();
});
