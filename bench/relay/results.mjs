import { overRounds } from '../support/stats.mjs';

/** What is written down: of each contestant and load the median of each figure over the rounds, with its extremes, and every round's own. */
export function summarizeRun({ contestants, parts, loads: asked, settings, ...facts }) {
  const loads = parts.map(({ machineLoad }) => machineLoad);
  return {
    ...facts,
    machineLoad: { min: Math.min(...loads), max: Math.max(...loads) },
    settings,
    contestants: contestants.map((contestant) => ({
      ...contestant,
      figures: Object.fromEntries(
        asked.flatMap((load) => {
          const own = parts.filter((part) => part.contestant === contestant.id && part.load === load);
          return own.length === 0 ? [] : [[load, overFigures(own.map(({ figures }) => figures))]];
        }),
      ),
    })),
    missing: missingOf({ contestants, parts, loads: asked, settings }),
    parts,
  };
}

function missingOf({ contestants, parts, loads, settings }) {
  return contestants.flatMap(({ id }) =>
    loads.flatMap((load) => {
      const wanted = Math.min(settings.rounds, settings.roundsOf[load] ?? settings.rounds);
      const had = parts.filter((part) => part.contestant === id && part.load === load).length;
      return had < wanted ? [{ contestant: id, load, rounds: had, wanted }] : [];
    }),
  );
}

/** Figures of figures are gone into. */
function overFigures(rounds) {
  return Object.fromEntries(
    Object.entries(rounds[0]).map(([name, first]) => {
      const values = rounds.map((round) => round[name]);
      return [name, typeof first === 'object' ? overFigures(values) : overRounds(values)];
    }),
  );
}
