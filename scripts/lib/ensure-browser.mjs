import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from './run.mjs';

/** Debian's Python: another one that stands before it on PATH knows nothing of Debian's bindings. */
export const PYTHON = '/usr/bin/python3';

/**
 * `program` is what is started, `variable` names another one, `beside` is what it needs besides, `packages` are Debian's.
 * WebKitGTK has no browser that keeps a profile while it is driven, so the tests bring one, in Python.
 */
const BROWSERS = {
  chromium: {
    title: 'Chromium',
    variable: 'MANGROVE_CHROMIUM',
    programs: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
    packages: ['chromium'],
  },
  firefox: {
    title: 'Firefox',
    variable: 'MANGROVE_FIREFOX',
    programs: ['firefox-esr', 'firefox'],
    packages: ['firefox-esr'],
  },
  webkit: {
    title: 'WebKitGTK',
    variable: 'MANGROVE_WEBKIT_DRIVER',
    programs: ['WebKitWebDriver'],
    packages: ['webkit2gtk-driver', 'xvfb', 'python3-gi', 'gir1.2-webkit2-4.1'],
    beside: async () =>
      findOnPath(['Xvfb']) !== undefined &&
      (await run(PYTHON, ['-c', "import gi; gi.require_version('WebKit2', '4.1')"], { quiet: true })).code === 0,
  },
};

/** The path of a browser to test with: its variable, else the first on PATH. */
export function findBrowser(name) {
  const { variable, programs } = BROWSERS[name];
  const given = process.env[variable];
  if (given) return isExecutable(given) ? given : undefined;
  return findOnPath(programs);
}

/** The same for whoever cannot do without. */
export function requireBrowser(name) {
  const found = findBrowser(name);
  if (found === undefined) throw new Error(whatToDo(name));
  return found;
}

/** Finds the browser, or installs it where it can; says what to do and throws where it cannot. */
export async function ensureBrowser(name) {
  const { variable, packages } = BROWSERS[name];
  if (await isComplete(name)) return findBrowser(name);
  const given = process.env[variable];
  if (given && !isExecutable(given)) throw new Error(`${variable} names ${given}, which is not an executable file.`);
  const isRoot = process.getuid?.() === 0;
  if (process.platform !== 'linux' || !isRoot || (await run('apt-get', ['--version'], { quiet: true })).code !== 0)
    throw new Error(whatToDo(name));

  console.log(`${BROWSERS[name].title} is missing: apt-get install ${packages.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  let output = (await run('apt-get', ['update', '-q'], { quiet: true, env })).output;
  const args = ['install', '-y', '-q', '--no-install-recommends', ...packages];
  output += (await run('apt-get', args, { quiet: true, env })).output;
  if (await isComplete(name)) return findBrowser(name);
  const lastLines = output.trim().split('\n').slice(-15).join('\n');
  throw new Error(`${BROWSERS[name].title} could not be installed:\n${lastLines}`);
}

async function isComplete(name) {
  const { beside = () => true } = BROWSERS[name];
  return findBrowser(name) !== undefined && (await beside());
}

function whatToDo(name) {
  const { title, variable, packages } = BROWSERS[name];
  return (
    `These tests need ${title}. Install it (Debian: apt-get install ${packages.join(' ')}), or set ${variable} to the ` +
    `path of ${name === 'webkit' ? 'a WebKitWebDriver' : 'another one'}.`
  );
}

function findOnPath(programs) {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    for (const program of programs) {
      const path = join(directory, program);
      if (directory && isExecutable(path)) return path;
    }
  }
  return undefined;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
