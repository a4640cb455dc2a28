// npm run fuzz -- --frames 5000000 --seed 1 : hostile bytes for every decoder, the step function and both ends of a link, as many as one
// likes. Prints each finding as hex and a closing line with counts; one case alone with --seed <seed> --from <case> --cases 1.
import { parseArgs } from 'node:util';
import { ensureInstall } from './lib/ensure-install.mjs';
import { runFuzzChild } from './lib/fuzz-child.mjs';
import { main } from './lib/run.mjs';

const HELP = `Usage: npm run fuzz -- [options]

Feeds hostile bytes to every decoder, the step function, both ends of a link, and proofs, in a process of its own with a small heap.

  --frames <number>  how many frames, all of them drawn from the seed; a core tries two or three thousand a second (5000000)
  --proofs <number>  how many proofs (half as many as frames)
  --seed <number>    (1)
  --from <number>    the case to begin with (0)
  --cases <number>   how many cases at most, whatever --frames says; a finding says how its case is tried alone
  --help             show this

Prints each finding with its case, as hex, and counts; exits with 1 when there are any.
`;

await main(async () => {
  const given = readArgs();
  if (given === 'help') return console.log(HELP.trimEnd());
  const { frames, proofs, seed, from, cases } = given;
  await ensureInstall();
  const startMs = performance.now();
  const args = ['--frames', frames, '--proofs', proofs, '--seed', seed, '--from', from];
  if (cases !== undefined) args.push('--cases', cases);
  const { report, death, rssBytes } = await runFuzzChild({
    args,
    onProgress: ({ frames: made, findings }) => console.log(`${made} of ${frames} frames, ${findings} findings`),
  });
  const again = (number) => `npm run fuzz -- --seed ${seed} --from ${number} --cases 1`;
  if (death !== undefined) {
    console.log(death.lastWords);
    console.log(`The fuzzer ${death.how} at case ${death.number} of seed ${seed}. Again: ${again(death.number)}`);
    process.exitCode = 1;
    return;
  }
  for (const [what, count] of Object.entries(report.tally)) console.log(`${String(count).padStart(9)}  ${what}`);
  for (const { number, text, count } of report.findings)
    console.log(`\ncase ${number} of seed ${seed}, one of ${count} like it: ${text}\n  again: ${again(number)}`);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(
    `seed ${seed}: ${report.frames} frames and ${report.proofs} proofs in ${report.cases} cases, ${report.findings.length} findings ` +
      `(${seconds.toFixed(0)} s, ${Math.round(rssBytes / 2 ** 20)} MiB)`,
  );
  if (report.findings.length > 0) process.exitCode = 1;
});

function readArgs() {
  const option = (value) => ({ type: 'string', default: value });
  const { values } = parseArgs({
    options: {
      frames: option('5000000'),
      proofs: option(''),
      seed: option('1'),
      from: option('0'),
      cases: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { help, ...numbers } = values;
  if (help) return 'help';
  for (const [name, value] of Object.entries(numbers)) {
    if (value !== '' && !Number.isSafeInteger(Number(value))) throw new Error(`--${name} is not a number: ${value}`);
  }
  return {
    ...numbers,
    proofs: numbers.proofs === '' ? String(Math.floor(Number(numbers.frames) / 2)) : numbers.proofs,
  };
}
