/** A whole run; results are committed from these only. */
const WHOLE = {
  /** Of the loads whose figures are times or rates; the others are run once. */
  rounds: 3,
  roundsOf: { idle: 1, intake: 1, intakeBatched: 1 },
  /** Messages of one client that may be under way. */
  window: 8,
  warmUpMs: 500,
  rooms: { rooms: 10, clients: 10, ms: 2_000, deltas: 800 },
  crowd: { rooms: 1, clients: 100, ms: 2_000, deltas: 400 },
  paced: { rooms: 10, clients: 10, perSecond: 500, ms: 10_000, warmUpMs: 2_000 },
  idle: { steps: [1_000, 5_000], clients: 10, restMs: 2_000 },
  intake: { deltas: 100_000, window: 512, perMessage: 500, joins: 5 },
};

/** To see that everything works; its figures mean nothing. */
const SMOKE = {
  ...WHOLE,
  rounds: 1,
  warmUpMs: 100,
  rooms: { rooms: 2, clients: 4, ms: 300, deltas: 200 },
  crowd: { rooms: 1, clients: 8, ms: 300, deltas: 100 },
  paced: { rooms: 2, clients: 4, perSecond: 100, ms: 1_000, warmUpMs: 200 },
  idle: { steps: [20, 40], clients: 10, restMs: 100 },
  intake: { deltas: 2_000, window: 64, perMessage: 100, joins: 2 },
};

const OPTIONS =
  '--smoke, --fresh, --only <contestant,…>, --loads <load,…>, --rounds <n> and --minutes <n>, after which nothing is begun';

/** Throws on anything that is no option. */
export function readSettings(args) {
  const settings = { ...(args.includes('--smoke') ? SMOKE : WHOLE) };
  let [only, loads, minutes] = [undefined, undefined, Number.POSITIVE_INFINITY];
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--smoke' || args[i] === '--fresh') continue;
    if (args[i] === '--only') only = args[++i]?.split(',');
    else if (args[i] === '--loads') loads = args[++i]?.split(',');
    else if (args[i] === '--rounds') settings.rounds = Number(args[++i]);
    else if (args[i] === '--minutes') minutes = Number(args[++i]);
    else throw new Error(`Unknown option ${args[i]}: there are ${OPTIONS}.`);
  }
  if (!(settings.rounds >= 1)) throw new Error('--rounds takes a number from 1.');
  if (!(minutes >= 0)) throw new Error('--minutes takes a number from 0.');
  const isWhole = only === undefined && loads === undefined && JSON.stringify(settings) === JSON.stringify(WHOLE);
  return { settings, only, loads, minutes, isFresh: args.includes('--fresh'), isWhole };
}

export const SMOKE_SETTINGS = SMOKE;
