import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildPackages } from '../../scripts/lib/build.mjs';
import { ensureInstall } from '../../scripts/lib/ensure-install.mjs';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { mustRun, run } from '../../scripts/lib/run.mjs';

const BENCH = fromRoot('bench');

/** What a bench needs before its own modules can be loaded: both installs, and the packages as they are in this tree. */
export async function ensureReady() {
  await ensureInstall();
  await ensureBenchInstall();
  await buildPackages();
}

/** The peers are dependencies of the bench alone, with a lock file of their own. */
async function ensureBenchInstall() {
  if (isInstalled()) return;
  console.log('Installing the dependencies of the bench: npm ci');
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  await mustRun('npm ci', run('npm', args, { quiet: true, cwd: BENCH }));
}

function isInstalled() {
  const installedFile = join(BENCH, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = readPackages(installedFile);
  return Object.entries(readPackages(join(BENCH, 'package-lock.json'))).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}
