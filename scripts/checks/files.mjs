import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromRoot, root } from '../lib/paths.mjs';
import { run } from '../lib/run.mjs';

const LINES_MAX = 400;
const LINES_WARN = 250;

/** At 400 lines a source file hides a second idea. Tests may be longer: a table is one idea. */
export function checkFileLengths() {
  const files = ['protocol', 'client', 'relay', 'lambda']
    .flatMap((name) => listSources(join('packages', name, 'src')))
    .map((file) => ({ file, lines: readFileSync(fromRoot(file), 'utf8').split('\n').length - 1 }))
    .sort((a, b) => b.lines - a.lines);
  const over = files.filter(({ lines }) => lines > LINES_MAX);
  const long = files.filter(({ lines }) => lines >= LINES_WARN && lines <= LINES_MAX);
  const list = (entries) => entries.map(({ file, lines }) => `${file} has ${lines} lines\n`).join('');
  return {
    isOk: over.length === 0,
    summary: long.length === 0 ? '' : `${long.length} at ${LINES_WARN} lines or more`,
    warning: list(long),
    output: list(over),
  };
}

function listSources(folder) {
  return readdirSync(fromRoot(folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(folder, entry.parentPath.slice(fromRoot(folder).length), entry.name));
}

// Written with brackets so that these lines do not match themselves.
const TRACES = [
  '(^|[^[:alnum:]_.-])/(work|home/[a-z]+|Users/[A-Za-z]+)[/]',
  'registry[.][a-z0-9.-]+[.](org|com|dev|net)',
  '(deb|security)[.]debian[.]org',
];

/** A committed file names no registry host and no path of the machine it was written on: both differ elsewhere. */
export async function checkTraces() {
  const patterns = [...TRACES, ...(isTelling(root) ? [root.replaceAll(/[.[\]*^$+?(){}|\\]/g, '\\$&')] : [])];
  const args = ['grep', '-nIE', ...patterns.flatMap((pattern) => ['-e', pattern]), '--', '.'];
  const { code, output } = await run('git', args, { quiet: true });
  // git grep: 0 when something matches, 1 when nothing does, above on an error such as a folder without git.
  return { isOk: code === 1, output };
}

/** A short root such as /src says nothing about a machine and would match half the links of the documentation. */
function isTelling(path) {
  return path.split('/').filter(Boolean).length > 1;
}
