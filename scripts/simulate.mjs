// npm run simulate -- --seeds 10000 --seed-base 1 : seeded worlds over the built packages, as many as one likes. Prints the
// seeds that fail and why, and a closing line with counts; a seed is looked at alone with --seeds 1 --seed-base <seed>.
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { buildPackages } from './lib/build.mjs';
import { ensureInstall } from './lib/ensure-install.mjs';
import { fromRoot } from './lib/paths.mjs';
import { main } from './lib/run.mjs';

const PROGRESS_EVERY_MS = 10_000;

const HELP = `Usage: npm run simulate -- [options]

Runs seeded worlds of replicas and relays, each with a configuration and faults that are drawn from its seed (docs/simulation.md).

  --seeds <number>      how many worlds, one after the other; a core does a few a second (1000)
  --seed-base <number>  the first seed (1)
  --fault <kind>        only worlds that draw this fault, such as copied-profile
  --steps <number>      how many events happen before faults end and everything has to arrive (700)
  --help                show this

Prints the seeds that fail, and why; exits with 1 when there are any.
`;

await main(async () => {
  const args = readArgs();
  if (args === 'help') return console.log(HELP.trimEnd());
  const { seeds, base, steps, fault } = args;
  await ensureInstall();
  await buildPackages();
  const entry = fromRoot('packages/protocol/dist/simulation/index.js');
  const { createWorld, FAULTS, mixedOptions } = await import(pathToFileURL(entry).href);

  if (fault !== undefined && !FAULTS.includes(fault))
    throw new Error(`no fault is named ${fault}: ${FAULTS.join(', ')}`);

  const startMs = performance.now();
  let toldMs = startMs;
  let worlds = 0;
  let edits = 0;
  let messages = 0;
  const failed = [];
  for (let seed = base; seed < base + seeds; seed++) {
    const options = mixedOptions(seed);
    if (fault !== undefined && !options.faults.includes(fault)) continue;
    worlds++;
    const world = createWorld(options);
    try {
      world.run({ steps });
      world.healAndDrain();
    } catch (error) {
      failed.push(seed);
      console.error(error.message);
    }
    edits += world.ledger.writes.length;
    for (const [what, count] of world.counts) if (what.startsWith('sent ')) messages += count;
    if (performance.now() - toldMs > PROGRESS_EVERY_MS) {
      toldMs = performance.now();
      console.log(`${seed - base + 1} of ${seeds} seeds, ${failed.length} failed`);
    }
  }
  const seconds = (performance.now() - startMs) / 1000;
  if (failed.length > 0) console.log(`failing seeds: ${failed.join(' ')}`);
  console.log(
    `${worlds} seeds, ${edits} edits, ${messages} messages: ${worlds - failed.length} passed, ${failed.length} failed ` +
      `(${(worlds / seconds).toFixed(1)} seeds/s)`,
  );
  if (failed.length > 0) process.exitCode = 1;
});

function readArgs() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      'seed-base': { type: 'string', default: '1' },
      steps: { type: 'string', default: '700' },
      fault: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const number = (name) => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < 1)
      throw new Error(`--${name} is not a number above 0: ${values[name]}`);
    return value;
  };
  return { seeds: number('seeds'), base: number('seed-base'), steps: number('steps'), fault: values.fault };
}
