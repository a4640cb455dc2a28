import { existsSync, statSync } from 'node:fs';
import { fromRoot } from './paths.mjs';
import { mustRun, run } from './run.mjs';

/**
 * Installs what package-lock.json names when node_modules is missing or older than it. npm writes
 * node_modules/.package-lock.json at the end of every install, so an install that was cut off is done again.
 */
export async function ensureInstall() {
  const lock = fromRoot('package-lock.json');
  const installed = fromRoot('node_modules/.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;

  console.log(existsSync(installed) ? 'The lock file changed: npm ci' : 'Installing the dependencies: npm ci');
  await mustRun('npm ci', run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { quiet: true }));
}
