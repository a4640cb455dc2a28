// npm test [-- project …] [--long] [--engines chromium,firefox,webkit] : everything a machine with only Node needs to
// run the tests, from installing to one closing line. A project is a name of vitest.config.ts; none means all of them.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { buildDemo, buildPackages } from './lib/build.mjs';
import { ensureBrowser } from './lib/ensure-browser.mjs';
import { ensureServer } from './lib/ensure-server.mjs';
import { ensureInstall } from './lib/ensure-install.mjs';
import { fromRoot, root } from './lib/paths.mjs';
import { planRounds } from './lib/rounds.mjs';
import { run, runTool } from './lib/run.mjs';

const { isLong, rounds } = plan();
const PROJECT_MS_MAX = 20 * 60_000;
const PROJECT_LONG_MS_MAX = 120 * 60_000;
const NOTHING = { passed: 0, failed: 0, skipped: [], brokenFiles: [] };

const reports = mkdtempSync(join(tmpdir(), 'mangrove-test-'));
process.on('exit', () => rmSync(reports, { recursive: true, force: true }));

// A need that fails is reported by every project that has it; the other projects still run.
const needs = {
  install: once(ensureInstall),
  packages: once(buildPackages),
  demo: once(buildDemo),
  chromium: once(() => ensureBrowser('chromium')),
  firefox: once(() => ensureBrowser('firefox')),
  webkit: once(() => ensureBrowser('webkit')),
  servers: once(async () => {
    for (const name of ['nats', 'postgres']) await ensureServer(name);
  }),
};

const results = [];
for (const round of rounds) results.push(await runRound(round));
report(results);

function plan() {
  try {
    return planRounds(process.argv.slice(2));
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}

function once(action) {
  let promise;
  return () => {
    promise ??= action();
    return promise;
  };
}

async function runRound({ name, project, needs: needed, env, files, script, scriptArgs, isOptional = false }) {
  console.log(`\n── ${name} ${'─'.repeat(70 - name.length)}`);
  try {
    for (const need of ['install', ...needed]) await needs[need]();
  } catch (error) {
    console.error(error.message);
    return isOptional ? { name, ...NOTHING, code: 0, isLeftOut: true } : { name, ...NOTHING, code: 1 };
  }
  const timeoutMs = isLong ? PROJECT_LONG_MS_MAX : PROJECT_MS_MAX;
  if (script !== undefined) {
    const { code } = await run(process.execPath, [fromRoot(script), ...scriptArgs], { timeoutMs });
    return { name, ...NOTHING, passed: code === 0 ? 1 : 0, code };
  }
  const file = join(reports, `${name}.json`);
  const flags = ['--project', project, '--passWithNoTests', '--reporter=default', '--reporter=json'];
  const { code } = await runTool('vitest/vitest.mjs', ['run', ...files, ...flags, `--outputFile.json=${file}`], {
    env: { ...(isLong ? { MANGROVE_TEST_LONG: '1' } : {}), ...env },
    timeoutMs,
  });
  return { name, ...readReport(file), code };
}

/** A runner that crashed leaves no report, or one without the files it could not load: its exit code still tells. */
function readReport(file) {
  let json;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return NOTHING;
  }
  const tests = json.testResults.flatMap((suite) =>
    suite.assertionResults.map((test) => ({ ...test, file: relative(root, suite.name) })),
  );
  const count = (status) => tests.filter((test) => test.status === status).length;
  return {
    passed: count('passed'),
    failed: count('failed'),
    skipped: tests.filter(({ status }) => status !== 'passed' && status !== 'failed'),
    // Files that failed as a whole: nothing in them ran, or a hook or the end of the file threw.
    brokenFiles: json.testResults
      .filter((suite) => suite.status === 'failed' && !suite.assertionResults.some(({ status }) => status === 'failed'))
      .map((suite) => relative(root, suite.name)),
  };
}

function report(results) {
  console.log('');
  let passed = 0;
  let failed = 0;
  const skipped = [];
  for (const result of results) {
    passed += result.passed;
    skipped.push(...result.skipped.map((test) => ({ ...test, round: result.name })));
    let failures = result.failed + result.brokenFiles.length;
    for (const file of result.brokenFiles) console.log(`${result.name}: ${file} failed as a whole`);
    if (failures === 0 && result.code !== 0) {
      failures = 1;
      console.log(`${result.name}: did not run to its end (exit code ${result.code})`);
    }
    failed += failures;
    if (result.isLeftOut) console.log(`${result.name}: left out, as above; npm run test:browsers insists on it`);
    else if (result.passed + failures + result.skipped.length === 0) console.log(`${result.name}: no tests yet`);
  }
  for (const test of skipped) console.log(`skipped (${test.round}): ${test.file} > ${test.fullName}`);
  if (rounds.some(({ isOptional }) => isOptional))
    console.log(
      'Firefox and WebKitGTK ran a sample of the browser tests here; npm run test:browsers runs all of them.',
    );
  if (!isLong) console.log('Long loops run a short round here; npm run test:long runs them in full.');
  if (passed + failed === 0) console.log('No test ran.');
  console.log(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
