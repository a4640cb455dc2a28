/** Results are committed from these only; a whole run under load may have fewer rounds, and says so. */
const WHOLE = {
  rounds: 3,
  /** Of the trace; the rest is left out. */
  edits: Number.POSITIVE_INFINITY,
  /** After filling: what merges or compacts by itself later does it now. */
  restMs: 3_000,
  coldOpens: 3,
  warmOpens: 5,
  typed: 500,
  typedEveryMs: 20,
  typedToDisk: 200,
  /** What an edit leaves to do is counted for this long after the last. */
  tailMs: 1_500,
  burst: 1_000,
  bursts: 3,
  records: 10_000,
  oneByOneSecondsMax: 60,
  /** A contestant that takes longer for one step has failed. */
  stepSecondsMax: 1_200,
};

/** To see that everything works; its figures mean nothing. */
const QUICK = {
  ...WHOLE,
  rounds: 1,
  edits: 3_000,
  restMs: 1_500,
  coldOpens: 1,
  warmOpens: 1,
  typed: 60,
  typedToDisk: 20,
  burst: 200,
  bursts: 1,
  records: 300,
  stepSecondsMax: 60,
};

const OPTIONS = '--quick, --rounds <n>, --only <contestant,…> and --parts <documents,records>';

/** Throws on any other option than those. */
export function readSettings(args) {
  const settings = { ...(args.includes('--quick') ? QUICK : WHOLE), only: undefined, parts: ['documents', 'records'] };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--quick') continue;
    else if (args[i] === '--rounds') settings.rounds = Number(args[++i]);
    else if (args[i] === '--only') settings.only = args[++i]?.split(',');
    else if (args[i] === '--parts') settings.parts = args[++i]?.split(',') ?? [];
    else throw new Error(`Unknown option ${args[i]}: there are ${OPTIONS}.`);
  }
  if (!(settings.rounds >= 1)) throw new Error('--rounds takes a number from 1.');
  const isWhole = settings.only === undefined && settings.parts.length === 2 && !args.includes('--quick');
  return { ...settings, isWhole };
}
