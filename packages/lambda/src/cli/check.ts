import { equalBytes } from '@mangrove/protocol';
import { conflictToBytes } from '../conflict.js';
import { decide } from '../decision.js';
import { readEngine } from '../engines/read-engine.js';
import type { Outcome } from '../failure.js';
import { type Lambda, prepareLambda } from '../lambda.js';
import type { LambdaCommand } from './options.js';
import { decisionToText, isSameValue, type Report, valueToText } from './report.js';
import { BUILT_IN_SAMPLES, readSamples, type Sample } from './samples.js';

/** From here on a larger conflict than the samples may run out. */
const TELLING_SHARE = 0.25;

/**
 * Loads the lambda twice and merges the samples forwards in one instance and backwards in the other. What differs would differ between replicas:
 * the sandbox promises that nothing does.
 */
export async function check({ spec, conflicts }: LambdaCommand): Promise<Report> {
  const samples = conflicts === undefined ? BUILT_IN_SAMPLES : readSamples(conflicts);
  const lambda = await prepareLambda(spec, readEngine);
  const again = await prepareLambda(spec, readEngine);
  const outcomes = samples.map((sample) => runSample(lambda, sample));
  const backwards = samples
    .toReversed()
    .map((sample) => runSample(again, sample))
    .toReversed();

  const faults = samples.flatMap((sample, i) => {
    const outcome = outcomes[i] as Outcome;
    const name = `conflict ${i + 1} (${sample.conflict.id})`;
    const fault = faultOf(sample, outcome, backwards[i] as Outcome);
    return fault === undefined ? [] : [`FAIL  ${name}: ${fault}`];
  });
  const fuel = Math.max(0, ...outcomes.map((outcome) => outcome.fuel));
  const share = fuel / lambda.limits.fuel;
  const lines = [
    `id    ${lambda.id}`,
    `kind  ${lambda.kind}, ${spec.code.length} bytes`,
    ...faults,
    `${faults.length === 0 ? 'ok  ' : 'FAIL'}  ${samples.length - faults.length} of ${samples.length} conflicts merged, the same twice`,
    `fuel  ${fuel} at most, ${(100 * share).toFixed(1)} % of what a merge may take`,
  ];
  if (faults.length === 0 && share > TELLING_SHARE)
    lines.push('note  a larger conflict may run out of fuel: the newest write would win');
  if (conflicts === undefined) lines.push('note  these were conflicts of ours: give a file with yours');
  return { lines, isOk: faults.length === 0 };
}

function runSample(lambda: Lambda, { conflict }: Sample): Outcome {
  return lambda.run(conflictToBytes(conflict));
}

function faultOf({ conflict, wanted }: Sample, outcome: Outcome, again: Outcome): string | undefined {
  const decision = decide(conflict, outcome);
  if (decision.by !== 'lambda') return decisionToText(decision);
  if (!again.ok || !outcome.ok || again.fuel !== outcome.fuel || !equalBytes(again.bytes, outcome.bytes))
    return 'it came to something else the second time';
  if (wanted === undefined || isSameValue(decision.value, wanted.value)) return undefined;
  return `it came to ${valueToText(decision.value)}, not to ${valueToText(wanted.value)}`;
}
