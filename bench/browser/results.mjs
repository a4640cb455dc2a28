import { overRounds } from '../support/stats.mjs';

/** What is written down: medians over the rounds with their extremes, and each round's own figures. */
export function summarizeRun({ startedAt, loadAtStart, loadAtEnd, tree, machine, settings, trace, parts, rounds }) {
  const { only: _, parts: __, isWhole: ___, ...kept } = settings;
  return {
    bench: 'browser',
    date: startedAt.slice(0, 10),
    tree,
    machine: {
      ...machine,
      chromium: rounds.find(({ chromium }) => chromium !== undefined)?.chromium ?? 'unknown',
      loadAtStart,
      loadAtEnd,
      loadsAfterRounds: rounds.map(({ load }) => load),
    },
    settings: { ...kept, edits: trace.edits },
    trace,
    ...Object.fromEntries(
      parts.map(({ part, contestants }) => [
        part,
        contestants.map((contestant) =>
          summarizeContestant(
            contestant,
            rounds.filter((round) => round.part === part && round.contestant === contestant.id),
          ),
        ),
      ]),
    ),
    rounds,
  };
}

function summarizeContestant({ versions, ...facts }, own) {
  const failures = own.flatMap(({ failed }) => (failed === undefined ? [] : [failed]));
  // Where one round failed, the others are no proof that it works.
  const figures = failures.length > 0 ? {} : overAll(own);
  return { ...facts, versions: versions(), ...(failures.length > 0 && { failed: failures[0] }), ...figures };
}

/** Each number of the rounds' figures as median and extremes, in the same shape. */
function overAll(rounds) {
  const { part: _, round: __, contestant: ___, load: ____, chromium: _____, ...first } = rounds[0];
  return over(first, rounds);
}

function over(shape, values) {
  if (typeof shape === 'number') return overRounds(values);
  if (typeof shape !== 'object') return shape;
  return Object.fromEntries(
    Object.keys(shape).map((name) => [
      name,
      over(
        shape[name],
        values.map((value) => value[name]),
      ),
    ]),
  );
}
