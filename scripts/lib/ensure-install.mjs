import { readFileSync } from 'node:fs';
import { fromRoot } from './paths.mjs';
import { mustRun, run } from './run.mjs';

/** Installs what package-lock.json names, unless it is all there. */
export async function ensureInstall() {
  const missing = firstMissing();
  if (missing === undefined) return;
  console.log(`Installing the dependencies (${missing}): npm ci`);
  await mustRun('npm ci', run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { quiet: true }));
}

/**
 * npm notes what it installed in node_modules/.package-lock.json, at the end of every install. The versions are
 * compared, not the times: a checkout touches the lock file without a change, and npm ci would then take node_modules
 * from under whatever else is running.
 */
function firstMissing() {
  const locked = readPackages('package-lock.json');
  const installed = readPackages('node_modules/.package-lock.json');
  if (locked === undefined || installed === undefined) return 'none yet';
  const differing = Object.entries(locked).find(
    ([path, { version, optional }]) =>
      path.startsWith('node_modules/') && !optional && (!(path in installed) || installed[path].version !== version),
  );
  return differing && `${differing[0].slice('node_modules/'.length)} ${differing[1].version ?? ''}`.trim();
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(fromRoot(path), 'utf8')).packages;
  } catch {
    return undefined;
  }
}
