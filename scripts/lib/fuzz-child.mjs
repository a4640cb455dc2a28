import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fromRoot, root } from './paths.mjs';

/** A page or a relay has more; what needs it all for one frame is caught. */
const HEAP_MB = 256;
/** No case takes a second, and no more than some thousand frames lie between two words of the child. */
const SILENT_MS_MAX = 120_000;

/** Runs the fuzzer from its source, as tests run. */
const CHILD = `
  import { runnerImport } from 'vite';
  const { module } = await runnerImport(${JSON.stringify(fromRoot('test/fuzz/child.ts'))}, {
    configFile: false,
    logLevel: 'error',
    resolve: {
      alias: [
        { find: /^@mangrove\\/protocol$/, replacement: ${JSON.stringify(fromRoot('packages/protocol/src/index.ts'))} },
        { find: /^@mangrove\\/protocol\\/simulation$/, replacement: ${JSON.stringify(fromRoot('packages/protocol/src/simulation/index.ts'))} },
      ],
    },
  });
  await module.runChild(process.argv.slice(1));
  process.exit(0);
`;

/**
 * Runs cases of the fuzzer in a process of their own. Resolves to what it reports, or to `death`: how it ended without a report, and
 * the number of the case that it was at.
 */
export async function runFuzzChild({ args, onProgress = () => {} }) {
  const folder = mkdtempSync(join(tmpdir(), 'mangrove-fuzz-'));
  const caseFile = join(folder, 'case');
  const flags = [`--max-old-space-size=${HEAP_MB}`, '--input-type=module', '--eval', CHILD, '--'];
  const child = spawn(process.execPath, [...flags, ...args, '--case-file', caseFile], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let lastWords = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    lastWords = (lastWords + text).slice(-4_000);
  });
  let isHung = false;
  let watch = startWatch();
  let outcome;
  try {
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
    for await (const line of createInterface({ input: child.stdout })) {
      clearTimeout(watch);
      watch = startWatch();
      const said = JSON.parse(line);
      if (said.report === undefined) onProgress(said);
      else outcome = { report: said.report, rssBytes: said.rssBytes };
    }
    const how = await ended;
    return outcome ?? { death: { how: isHung ? 'hung' : `ended with ${how}`, number: readCase(caseFile), lastWords } };
  } finally {
    clearTimeout(watch);
    rmSync(folder, { recursive: true, force: true });
  }

  function startWatch() {
    return setTimeout(() => {
      isHung = true;
      child.kill('SIGKILL');
    }, SILENT_MS_MAX);
  }
}

function readCase(caseFile) {
  try {
    return readFileSync(caseFile).readDoubleBE(0);
  } catch {
    return undefined;
  }
}
