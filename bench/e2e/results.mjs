import { rounded, toThousandths } from '../support/publish.mjs';
import { median, overRounds } from '../support/stats.mjs';

const DIRECTIONS = ['aToServer', 'serverToA', 'serverToB', 'bToServer', 'total'];
const LEGS = ['keyToWire', 'server', 'wireToModel'];

/** What is written down: medians over the rounds with their extremes, and each round's own figures. */
export function summarizeRun({ startedAt, loadAtStart, loadAtEnd, tree, machine, settings, contestants, rounds }) {
  const { only: _, isWhole: __, ...kept } = settings;
  return {
    bench: 'e2e',
    date: startedAt.slice(0, 10),
    tree,
    machine: {
      ...machine,
      chromium: rounds[0].chromium,
      loadAtStart,
      loadAtEnd,
      loadsAfterRounds: rounds.map(({ load }) => load),
    },
    settings: kept,
    contestants: contestants.map((contestant) => summarizeContestant(contestant, rounds)),
    ...explanationOf(rounds),
    rounds: rounds.map(
      ({
        typing: { explained: _, pushes: __, ...typing },
        rejoin: { messages: ___, ...rejoin },
        chromium: ____,
        ...round
      }) => rounded({ ...round, typing, rejoin }, toThousandths),
    ),
  };
}

function summarizeContestant({ server: _, versions, ...facts }, rounds) {
  const own = rounds.filter(({ contestant }) => contestant === facts.id);
  const over = (read) => rounded(overRounds(own.map(read)), toThousandths);
  const { rejoin } = own[0];
  return {
    ...facts,
    versions: versions(),
    latencyMs: { p50: over(({ typing }) => typing.latencyMs.p50), p99: over(({ typing }) => typing.latencyMs.p99) },
    legsP50Ms: Object.fromEntries(LEGS.map((leg) => [leg, over(({ typing }) => typing.legsMs[leg].p50)])),
    bytesPerKey: Object.fromEntries(DIRECTIONS.map((name) => [name, over(({ typing }) => typing.bytesPerKey[name])])),
    rejoin: {
      convergedMs: over(({ rejoin }) => rejoin.convergedMs),
      ...(rejoin.inSyncMs === undefined ? {} : { inSyncMs: over(({ rejoin }) => rejoin.inSyncMs) }),
      bytesUp: over(({ rejoin }) => rejoin.bytesUp),
      bytesDown: over(({ rejoin }) => rejoin.bytesDown),
      upgradeBytesUp: over(({ rejoin }) => rejoin.upgradeBytesUp),
      neededBytes: over(({ rejoin }) => rejoin.neededBytes),
      bytesUpOverNeeded: over(({ rejoin }) => rejoin.bytesUp / rejoin.neededBytes),
      reconnectDelayMs: over(({ rejoin }) => rejoin.reconnectDelayMs),
    },
  };
}

/** All of Mangrove's round with the middle total of bytes: its rows add up, which those of medians would not. */
function explanationOf(rounds) {
  const own = rounds.filter(({ typing }) => typing.explained !== undefined);
  if (own.length === 0) return {};
  const middle = median(own.map(({ typing }) => typing.bytesPerKey.total));
  const { typing, rejoin } = own.find((round) => round.typing.bytesPerKey.total === middle);
  return rounded(
    { explained: typing.explained, pushes: typing.pushes, rejoinMessages: rejoin.messages },
    toThousandths,
  );
}
