/** A whole run; results are committed from these only. Fewer rounds are told in them. */
const WHOLE = {
  rounds: 3,
  warmUpKeys: 30,
  keys: 400,
  keyEveryMs: 48,
  offlineEdits: 1_000,
  offlineEditEveryMs: 4,
  /** What still passes after the last key, such as acknowledgements and statements, is counted for this long. */
  tailMs: 1_500,
};

/** To see that everything works; its figures mean nothing. */
const SMOKE = { ...WHOLE, rounds: 1, warmUpKeys: 5, keys: 40, offlineEdits: 100, tailMs: 600 };

/** `--smoke`, `--rounds <n>`, `--only <contestant,…>`; throws on anything else. */
export function readSettings(args) {
  const settings = { ...(args.includes('--smoke') ? SMOKE : WHOLE), only: undefined };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--smoke') continue;
    else if (args[i] === '--rounds') settings.rounds = Number(args[++i]);
    else if (args[i] === '--only') settings.only = args[++i]?.split(',');
    else throw new Error(`Unknown option ${args[i]}: there are --smoke, --rounds <n> and --only <contestant,…>.`);
  }
  if (!(settings.rounds >= 1)) throw new Error('--rounds takes a number from 1.');
  const isWhole = settings.only === undefined && !args.includes('--smoke');
  return { ...settings, isWhole };
}
