import { table } from '../support/table.mjs';
import { bytes, count } from './report-table.mjs';

const N = 100_000;
const GOALS = [
  { scenario: 'tail', d: 1_000, bytes: 400, roundTrips: 1 },
  { scenario: 'scattered', d: 1, bytes: 2_500, roundTrips: 4 },
  { scenario: 'scattered', d: 10, bytes: 8_000, roundTrips: 4 },
  { scenario: 'scattered', d: 100, bytes: 50_000, roundTrips: 5 },
  { scenario: 'scattered', d: 1_000, bytes: 300_000, roundTrips: 5 },
];

/** Where Mangrove stands against what it set itself. */
export function renderTargets({ cells: all, claims }) {
  const cells = all.filter((cell) => cell.bytes !== undefined);
  const at = (peer, { scenario, d }) =>
    cells.find((cell) => cell.peer === peer && cell.n === N && cell.scenario === scenario && cell.d === d);
  const goals = GOALS.filter((goal) => at('mangrove', goal) !== undefined && at('mangrove-cursor', goal) !== undefined);
  const say = (cell, goal) => {
    const isMet = cell.bytes <= goal.bytes && cell.roundTrips <= goal.roundTrips;
    const factor = (cell.bytes / goal.bytes).toFixed(2);
    return `${bytes(cell.bytes)} / ${cell.roundTrips} (${factor}×${isMet ? '' : ', **missed**'})`;
  };
  return [
    ...(goals.length === 0
      ? []
      : [
          `## Goals, n = ${count(N)}`,
          table(
            ['bytes / round trips', 'goal', 'returning', 'strangers'],
            goals.map((goal) => [
              `${goal.scenario} ${count(goal.d)}`,
              `${bytes(goal.bytes)} / ${goal.roundTrips}`,
              say(at('mangrove-cursor', goal), goal),
              say(at('mangrove', goal), goal),
            ]),
          ),
        ]),
    ...(claims.index === undefined ? [] : [renderIndex(claims.index)]),
  ];
}

function renderIndex(index) {
  const rows = [
    ['index, bytes a delta', '≤ 10', index.nodeBytesPerDelta.toFixed(1)],
    ['rebuilding, CPU ms per 100,000', '≤ 250', index.rebuildMsPer100k.toFixed(0)],
    ['one insert by itself, CPU ms', '≤ 0.05', index.insertMs.toFixed(3)],
    ['inserts of 100 in one transaction, CPU ms each', '', index.batchedInsertMs.toFixed(3)],
    ['node bytes written by one insert', '', count(Math.round(index.nodeBytesPerInsert))],
    [
      `whole-key proof, bytes beyond the ${index.wholeKey.items} keys it is about (middle, largest)`,
      '≤ 2,000',
      `${count(index.wholeKey.overheadBytes.median)}, ${count(index.wholeKey.overheadBytes.max)}`,
    ],
    ['… verifying it, CPU ms (middle)', '≤ 1', index.wholeKey.verifyMs.median.toFixed(2)],
    ['inclusion proof, bytes (middle)', '', count(index.inclusionBytes.median)],
  ];
  return `### Index and proofs, n = ${count(index.n)}\n\n${table(['', 'goal', 'here'], rows)}\n\nIn a memory store with node:crypto's SHA-256; inserting is the index alone, without the delta’s own row. CPU is of this machine as it was: see the load above.`;
}
