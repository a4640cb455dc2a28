import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from './run.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The path of a Chromium to test with: MANGROVE_CHROMIUM, else the first on PATH. */
export function findChromium() {
  const given = process.env.MANGROVE_CHROMIUM;
  if (given) return isExecutable(given) ? given : undefined;
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of NAMES) {
      const path = join(directory, name);
      if (directory && isExecutable(path)) return path;
    }
  }
  return undefined;
}

/** Finds Chromium, or installs it where it can; says what to do and throws where it cannot. */
export async function ensureChromium() {
  const found = findChromium();
  if (found) return found;
  if (process.env.MANGROVE_CHROMIUM) {
    throw new Error(`MANGROVE_CHROMIUM names ${process.env.MANGROVE_CHROMIUM}, which is not an executable file.`);
  }
  const isRoot = process.getuid?.() === 0;
  if (process.platform !== 'linux' || !isRoot || (await run('apt-get', ['--version'], { quiet: true })).code !== 0) {
    throw new Error(
      'The browser tests need Chromium. Install it (Debian: apt-get install chromium), or set MANGROVE_CHROMIUM to ' +
        'the path of a Chromium or Chrome.',
    );
  }
  console.log('No Chromium found: apt-get install chromium');
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  let output = (await run('apt-get', ['update', '-q'], { quiet: true, env })).output;
  output += (await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'chromium'], { quiet: true, env }))
    .output;
  const installed = findChromium();
  if (!installed)
    throw new Error(`Chromium could not be installed:\n${output.trim().split('\n').slice(-15).join('\n')}`);
  return installed;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
