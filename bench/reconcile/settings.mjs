/** A whole run; results are committed from these only. */
const WHOLE = {
  sizes: [1_000, 10_000, 100_000, 1_000_000],
  differences: [1, 10, 100, 1_000],
  /** Of a size that takes minutes to set up: the smallest and the largest difference. */
  differencesOfMillion: [1, 1_000],
  scenarios: ['tail', 'scattered'],
  /** Of one cell; the median is told. From 10,000 items on a cell is run once. */
  rounds: 5,
  roundsOfLarge: 1,
  /** CPU time. A cell that is not done by then, setting up and warming up included, is told as such, and nothing harder is tried of its peer. */
  cellSecondsMax: 180,
  twoPhase: { replicas: 64, writes: 32 },
  regions: { replicas: 128, regions: 3, writes: 64 },
  vectorReplicas: [1, 8, 64, 256, 1_000],
  vectorKeys: 200,
};

/** To see that everything works; its figures mean nothing. */
const SMOKE = {
  ...WHOLE,
  sizes: [1_000],
  differences: [1, 100],
  rounds: 1,
  twoPhase: { replicas: 8, writes: 8 },
  regions: { replicas: 12, regions: 3, writes: 12 },
  vectorReplicas: [1, 8],
  vectorKeys: 20,
};

const OPTIONS = '--smoke, --fresh, --minutes <n>, --only <part,…> and --sizes <n,…>';

/** Parts are the peers' ids and the claims' names. Throws on anything that is no option. */
export function readSettings(args) {
  const settings = { ...(args.includes('--smoke') ? SMOKE : WHOLE) };
  let only;
  let minutes = Number.POSITIVE_INFINITY;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--smoke' || args[i] === '--fresh') continue;
    if (args[i] === '--only') only = args[++i]?.split(',');
    else if (args[i] === '--minutes') minutes = Number(args[++i]);
    else if (args[i] === '--sizes') settings.sizes = args[++i]?.split(',').map(Number);
    else throw new Error(`Unknown option ${args[i]}: there are ${OPTIONS}.`);
  }
  if (!settings.sizes?.every((size) => size >= 1)) throw new Error('--sizes takes numbers from 1.');
  if (!(minutes >= 0)) throw new Error('--minutes takes a number from 0.');
  const isWhole = only === undefined && JSON.stringify(settings) === JSON.stringify(WHOLE);
  return { settings, only, minutes, isFresh: args.includes('--fresh'), isWhole };
}
