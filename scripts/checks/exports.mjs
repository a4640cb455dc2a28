import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromRoot } from '../lib/paths.mjs';
import { run, runTool } from '../lib/run.mjs';

const PACKAGES = ['protocol', 'client', 'relay', 'lambda'];

/** Packs the built packages and looks at the tarballs as their users' tools will: publint, and the types by attw. */
export async function checkExports() {
  const folder = mkdtempSync(join(tmpdir(), 'mangrove-pack-'));
  try {
    const results = await Promise.all(PACKAGES.map((name) => checkPackage(name, folder)));
    return { isOk: results.every(({ isOk }) => isOk), output: results.map(({ output }) => output).join('') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function checkPackage(name, folder) {
  // Without scripts: the packages were just built, and prepack would build each of them again.
  const flags = ['--ignore-scripts', '--json', '--loglevel=error', '--pack-destination', folder];
  const packed = await run('npm', ['pack', ...flags], { quiet: true, cwd: fromRoot('packages', name) });
  if (packed.code !== 0) return { isOk: false, output: packed.output };
  const tarball = join(folder, `mangrove-${name}-${versionOf(packed.output)}.tgz`);

  const results = await Promise.all([
    runTool('publint/src/cli.js', ['run', '--strict', tarball], { quiet: true }),
    runTool('@arethetypeswrong/cli/dist/index.js', [tarball, '--profile', 'esm-only', '--no-emoji'], { quiet: true }),
  ]);
  return {
    isOk: results.every(({ code }) => code === 0),
    output: results
      .filter(({ code }) => code !== 0)
      .map(({ output }) => output)
      .join(''),
  };
}

function versionOf(output) {
  return /"version":\s*"([^"]+)"/.exec(output)?.[1];
}
