import { spawn } from 'node:child_process';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { loadNow } from '../support/machine.mjs';

const HEAP_MIB = 10_000;

/**
 * Runs a file of this folder in a process of its own and returns what it prints as JSON, with the machine's load.
 *
 * `{ unfinished: 'time' | 'memory', measuring }` where it took more than `cpuSecondsMax` or all of its heap, `measuring` saying whether it was
 * done with setting up; throws when it ends in any other way, as a check that fails is no result.
 */
export function runChild(file, argument, cpuSecondsMax) {
  return new Promise((resolve, reject) => {
    const script = fromRoot('bench/reconcile', file);
    const args = [`--max-old-space-size=${HEAP_MIB}`, '--expose-gc', script, JSON.stringify(argument)];
    // The bound is on CPU time: on a machine with other work the clock on the wall would end whom it happens to hit.
    const limited = ['-c', 'ulimit -S -t "$0" && exec "$@"', String(cpuSecondsMax), process.execPath, ...args];
    const child = spawn('sh', limited, { stdio: ['ignore', 'pipe', 'pipe'] });
    const load = loadNow();
    let output = '';
    let complaints = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => (output += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk) => (complaints += chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const lines = output.split('\n').filter(Boolean);
      // The first time it is the warm-up’s.
      const measuring = lines.filter((line) => line === MEASURING).length > 1;
      if (code === 0) resolve({ ...JSON.parse(lines.at(-1)), load });
      else if (signal === 'SIGXCPU') resolve({ unfinished: 'time', measuring, load });
      else if (/heap out of memory|Invalid array length|memory access out of bounds/.test(complaints))
        resolve({ unfinished: 'memory', measuring, load });
      else reject(new Error(`${file} ${JSON.stringify(argument)} ended with code ${code}\n${complaints}`));
    });
  });
}

/** The line by which a cell says that setting up is done. */
export const MEASURING = '"measuring"';
