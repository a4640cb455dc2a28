import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromRoot } from './paths.mjs';
import { mustRun, run, runTool } from './run.mjs';

const DEMO_INPUTS = [
  'demo/index.html',
  'demo/src',
  'demo/public',
  'demo/vite.config.ts',
  'packages/protocol/dist',
  'packages/client/dist',
  'package-lock.json',
];

/** Compiles the packages; tsc itself skips those that are up to date. */
export async function buildPackages() {
  await mustRun('tsc -b', runTool('typescript/bin/tsc', ['-b'], { quiet: true }));
  await meterEngines();
}

/** What the package of lambdas ships beside its modules, made by its own compiled code. Throws where an engine is another than the pinned one. */
export async function meterEngines() {
  const script = fromRoot('packages/lambda/scripts/meter-engines.mjs');
  await mustRun('meter-engines', run(process.execPath, [script], { quiet: true }));
}

/** Builds the demo when one of its inputs is newer than its output. */
export async function buildDemo() {
  const output = fromRoot('demo/dist/index.html');
  if (!existsSync(fromRoot('demo/index.html'))) return;
  if (existsSync(output) && newestMs(DEMO_INPUTS) <= statSync(output).mtimeMs) return;
  console.log('Building the demo');
  const args = ['build', '--logLevel', 'warn'];
  await mustRun('vite build', runTool('vite/bin/vite.js', args, { quiet: true, cwd: fromRoot('demo') }));
}

function newestMs(paths) {
  let newest = 0;
  const visit = (path) => {
    const stat = statSync(path);
    if (!stat.isDirectory()) newest = Math.max(newest, stat.mtimeMs);
    else for (const name of readdirSync(path)) visit(join(path, name));
  };
  for (const path of paths.map((path) => fromRoot(path))) if (existsSync(path)) visit(path);
  return newest;
}
