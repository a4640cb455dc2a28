// npm run check: what a change has to hold beside its tests. Every step runs, so that one run tells all there is to do.
import { ensureInstall } from './lib/ensure-install.mjs';
import { main, run, runTool } from './lib/run.mjs';

const DEPENDENCY_ARGS = [
  ...['--config', '.dependency-cruiser.mjs', '--output-type', 'err'],
  ...['protocol', 'client', 'relay', 'lambda'].map((name) => `packages/${name}/src`),
];

await main(async () => {
  await ensureInstall();
  const { checkExports } = await import('./checks/exports.mjs');
  const { checkFileLengths, checkTraces } = await import('./checks/files.mjs');
  const { checkSize } = await import('./checks/size.mjs');
  const { meterEngines } = await import('./lib/build.mjs');

  const steps = [
    ['format and lint', () => tool('@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.'])],
    ['types', () => tool('typescript/bin/tsc', ['-b', 'tsconfig.json', 'tsconfig.test.json', 'demo'])],
    ['metered engines', async () => ({ isOk: true, output: '', ...(await meterEngines()) })],
    ['lock file', checkLockFile],
    ['import direction', () => tool('dependency-cruiser/bin/dependency-cruise.mjs', DEPENDENCY_ARGS)],
    ['file lengths', checkFileLengths],
    ['no traces of a machine', checkTraces],
    ['package exports', checkExports],
    ['size budget', checkSize],
  ];
  let failed = 0;
  for (const [name, step] of steps) if (!(await runStep(name, step))) failed += 1;
  if (failed > 0) process.exitCode = 1;
});

async function tool(script, args) {
  const { code, output } = await runTool(script, args, { quiet: true });
  return { isOk: code === 0, output };
}

/** In step with every package.json, and whole: npm leaves out optional packages that a registry lacked when it wrote. */
async function checkLockFile() {
  const { code, output } = await run('npm', ['ci', '--dry-run', '--ignore-scripts', '--loglevel=error'], {
    quiet: true,
  });
  return { isOk: code === 0, output };
}

async function runStep(name, step) {
  const startMs = performance.now();
  let result;
  try {
    result = await step();
  } catch (error) {
    result = { isOk: false, output: `${error?.stack ?? error}\n` };
  }
  const { isOk, summary, warning = '', output } = result;
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${isOk ? 'ok  ' : 'FAIL'}  ${name} (${seconds} s)${summary ? `: ${summary}` : ''}`);
  if (warning) process.stdout.write(indent(warning));
  if (!isOk) process.stdout.write(indent(output));
  return isOk;
}

function indent(text) {
  return text.replaceAll(/^(?=.)/gm, '      ');
}
