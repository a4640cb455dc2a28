/** A whole run; results are committed from these only. */
const WHOLE = {
  sizes: [1_000, 10_000, 100_000, 1_000_000],
  differences: [1, 10, 100, 1_000],
  scenarios: ['tail', 'scattered'],
  /** Of one cell; the median is told. A million items are set up once. */
  rounds: 3,
  roundsOfMillion: 1,
  twoPhase: { replicas: 64, writes: 128 },
  regions: { replicas: 128, regions: 3, writes: 256 },
  vectorReplicas: [1, 8, 64, 256, 1_000],
  vectorKeys: 200,
};

/** To see that everything works; its figures mean nothing. */
const QUICK = {
  ...WHOLE,
  sizes: [1_000],
  differences: [1, 100],
  rounds: 1,
  twoPhase: { replicas: 8, writes: 8 },
  regions: { replicas: 12, regions: 3, writes: 12 },
  vectorReplicas: [1, 8],
  vectorKeys: 20,
};

/** `--quick`, `--only <part,…>`, `--sizes <n,…>`; throws on anything else. Parts are the peers' ids and the claims' names. */
export function readSettings(args) {
  const settings = { ...(args.includes('--quick') ? QUICK : WHOLE), only: undefined };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--quick') continue;
    else if (args[i] === '--only') settings.only = args[++i]?.split(',');
    else if (args[i] === '--sizes') settings.sizes = args[++i]?.split(',').map(Number);
    else throw new Error(`Unknown option ${args[i]}: there are --quick, --only <part,…> and --sizes <n,…>.`);
  }
  if (!settings.sizes.every((size) => size >= 1)) throw new Error('--sizes takes numbers from 1.');
  const isWhole = settings.only === undefined && JSON.stringify(settings) === JSON.stringify(WHOLE);
  return { ...settings, isWhole };
}
