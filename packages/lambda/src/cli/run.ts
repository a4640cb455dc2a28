import { openSandbox } from '../sandbox.js';
import { startNodeWorker } from '../worker/node-worker.js';
import type { LambdaCommand } from './options.js';
import { decisionToText, type Report } from './report.js';
import { readSamples } from './samples.js';

/** A line for each conflict, in the sandbox as an app has it, watchdog included. */
export async function run({ spec, conflicts }: LambdaCommand): Promise<Report> {
  const samples = readSamples(conflicts as string);
  const sandbox = await openSandbox(spec, { startWorker: startNodeWorker });
  try {
    const decisions = await Promise.all(samples.map(({ conflict }) => sandbox.merge(conflict)));
    return { lines: decisions.map(decisionToText), isOk: decisions.every(({ by }) => by === 'lambda') };
  } finally {
    sandbox.close();
  }
}
