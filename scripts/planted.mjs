// npm run test:planted -- [--only part-of-a-name] [--scenario n] [--sample n] : plants each bug of test/planted in a copy of the tree, one at a
// time, and lets the suite look for it, the cheapest tests first. Prints who caught what and a closing line with counts, and
// exits non-zero when fewer than 95 % are caught, or a patch does not apply any more.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureInstall } from './lib/ensure-install.mjs';
import { fromRoot } from './lib/paths.mjs';
import { main, run } from './lib/run.mjs';

const CAUGHT_MIN = 0.95;
/** What runs out of time has told nothing: a busy machine would be taken for a good suite. */
const STAGE_MS_MAX = 5 * 60_000;
const SEEDS = '300';
const FOLDER = 'test/planted';
/** They miss the planted bugs or the built packages in the copy, and would be taken to notice every one. */
const ABOUT_THE_TREE = [
  'test/contracts/benches.test.ts',
  'test/contracts/engines.test.ts',
  'test/contracts/planted.test.ts',
  'test/contracts/worker-entry.test.ts',
  'test/interop/docs-examples.test.ts',
  'test/interop/scenarios-page.test.ts',
].flatMap((file) => ['--exclude', file]);

const HELP = `Usage: npm run test:planted -- [options]

Plants each bug of test/planted in a copy of the tree, one at a time, and lets the suite look for it: the tests that stand
nearest, then the scenarios, ${SEEDS} worlds, and all unit tests.

  --only <text>      only bugs whose file's name has this in it
  --scenario <n>     only those of a scenario of docs/scenarios.md
  --sample <number>  only so many of them, spread over all
  --help             show this

Prints which test has caught which bug. Exits with 1 when fewer than ${CAUGHT_MIN * 100} % are caught, or one cannot be planted any more.
`;

await main(async () => {
  const given = readArgs();
  if (given === 'help') return console.log(HELP.trimEnd());
  const { only, scenario, sample } = given;
  await ensureInstall();
  const bugs = pick(readBugs(only, scenario), sample);
  if (bugs.length === 0) throw new Error('There is no such planted bug.');
  const copy = copyTree();
  const clear = () => rmSync(copy, { recursive: true, force: true });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      clear();
      process.exit(1);
    });
  }
  try {
    for (const bug of bugs) git(copy, ['apply', '--check', fromRoot(FOLDER, bug.file)]);
    const results = [];
    for (const bug of bugs) results.push(await plant(copy, bug));
    report(results);
  } finally {
    clear();
  }
});

function readArgs() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      scenario: { type: 'string' },
      sample: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const sample = values.sample === undefined ? undefined : Number(values.sample);
  if (sample !== undefined && !(Number.isSafeInteger(sample) && sample > 0))
    throw new Error(`--sample is not a number above 0: ${values.sample}`);
  return { only: values.only ?? '', scenario: values.scenario, sample };
}

/** A patch begins with what a reader wants to know: `Rule`, `Bug`, and `Look`, the unit tests that stand nearest. */
function readBugs(only, scenario) {
  return readdirSync(fromRoot(FOLDER))
    .filter((file) => file.endsWith('.patch') && file.includes(only))
    .sort()
    .map((file) => {
      const text = readFileSync(fromRoot(FOLDER, file), 'utf8');
      const field = (name) => {
        const value = new RegExp(`^${name}: (.+)$`, 'm').exec(text)?.[1];
        if (value === undefined) throw new Error(`${file} does not say its ${name}.`);
        return value;
      };
      const ofScenario = /^Scenario: (.+)$/m.exec(text)?.[1];
      return { file, rule: field('Rule'), bug: field('Bug'), look: field('Look').split(' '), scenario: ofScenario };
    })
    .filter((bug) => scenario === undefined || bug.scenario === scenario);
}

/** Spread over all of them, the same ones for the same number. */
function pick(bugs, sample) {
  if (sample === undefined || sample >= bugs.length) return bugs;
  return Array.from({ length: sample }, (_, i) => bugs[Math.floor((i * bugs.length) / sample)]);
}

/** What is tracked, as it stands now, beside the installed packages; a worktree of git would outlive a run that is ended. */
function copyTree() {
  const copy = mkdtempSync(join(tmpdir(), 'mangrove-planted-'));
  const files = git(fromRoot(), ['ls-files', '-z', '--cached', '--others', '--exclude-standard']).split('\0');
  for (const file of files) {
    if (file === '' || file.startsWith(`${FOLDER}/`)) continue;
    mkdirSync(join(copy, dirname(file)), { recursive: true });
    cpSync(fromRoot(file), join(copy, file), { force: true });
  }
  for (const folder of ['.', 'packages/client', 'packages/protocol', 'packages/relay', 'packages/lambda', 'demo']) {
    const modules = fromRoot(folder, 'node_modules');
    if (existsSync(modules)) symlinkSync(modules, join(copy, folder, 'node_modules'), 'dir');
  }
  return copy;
}

async function plant(copy, bug) {
  const patch = fromRoot(FOLDER, bug.file);
  git(copy, ['apply', patch]);
  try {
    for (const stage of stagesOf(bug)) {
      const startMs = performance.now();
      const { code, output } = await runVitest(copy, stage);
      if (code === 0) continue;
      const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
      if (output.endsWith(`ended by SIGKILL\n`)) {
        console.log(`out of time ${bug.file} in ${stage.name}`);
        continue;
      }
      const by = firstFailure(output) ?? `${stage.name}, which did not load`;
      console.log(`caught      ${bug.file} [${bug.rule}] by ${by} (${seconds} s)`);
      return { ...bug, isCaught: true };
    }
    console.log(`NOT CAUGHT  ${bug.file} [${bug.rule}] ${bug.bug}`);
    return { ...bug, isCaught: false };
  } finally {
    git(copy, ['apply', '-R', patch]);
  }
}

function stagesOf({ look }) {
  const scenarios = 'test/simulation/scenarios.test.ts';
  const worlds = 'test/simulation/convergence.test.ts';
  return [
    { name: 'the tests beside it', args: ['--project', 'unit', ...ABOUT_THE_TREE, ...look] },
    { name: 'the scenarios', args: ['--project', 'simulation', scenarios] },
    { name: `${SEEDS} worlds`, args: ['--project', 'simulation', worlds, '-t', 'worlds of mixed'] },
    { name: 'all unit tests', args: ['--project', 'unit', ...ABOUT_THE_TREE] },
  ];
}

function runVitest(cwd, { args }) {
  const script = fromRoot('node_modules', 'vitest', 'vitest.mjs');
  return run(process.execPath, [script, 'run', ...args, '--bail=1', '--reporter=dot', '--no-color'], {
    quiet: true,
    cwd,
    env: { MANGROVE_SEEDS: SEEDS, NO_COLOR: '1' },
    timeoutMs: STAGE_MS_MAX,
  });
}

function firstFailure(output) {
  const line = /^\s*FAIL\s+(?:\|\w+\|\s+|unit\s+|simulation\s+)?(.+)$/m.exec(output)?.[1];
  return line?.trim();
}

function git(cwd, args) {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`git ${args.join(' ')} failed:\n${stderr}`);
  return stdout;
}

function report(results) {
  const caught = results.filter(({ isCaught }) => isCaught).length;
  const missed = results.filter(({ isCaught }) => !isCaught);
  for (const { file, bug } of missed) console.log(`not caught: ${file}: ${bug}`);
  const percent = ((100 * caught) / results.length).toFixed(1);
  console.log(`${results.length} bugs planted: ${caught} caught, ${missed.length} not caught (${percent} %)`);
  if (caught < CAUGHT_MIN * results.length) process.exitCode = 1;
}
