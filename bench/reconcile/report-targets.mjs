import { bytes, count, table } from './report-table.mjs';

const N = 100_000;
const GOALS = [
  { scenario: 'tail', d: 1_000, bytes: 400, roundTrips: 1 },
  { scenario: 'scattered', d: 1, bytes: 2_500, roundTrips: 4 },
  { scenario: 'scattered', d: 10, bytes: 8_000, roundTrips: 4 },
  { scenario: 'scattered', d: 100, bytes: 50_000, roundTrips: 5 },
  { scenario: 'scattered', d: 1_000, bytes: 300_000, roundTrips: 5 },
];

/** Where Mangrove stands against what it set itself, and who is ahead of it, in sentences made from the figures. */
export function renderTargets({ cells, peers, claims }) {
  const at = (peer, { scenario, d }) =>
    cells.find((cell) => cell.peer === peer && cell.n === N && cell.scenario === scenario && cell.d === d);
  const goals = GOALS.filter((goal) => at('mangrove', goal) !== undefined && at('mangrove-cursor', goal) !== undefined);
  const say = (cell, goal) => {
    const isMet = cell.bytes <= goal.bytes && cell.roundTrips <= goal.roundTrips;
    return `${bytes(cell.bytes)} / ${cell.roundTrips}${isMet ? '' : ' **(missed)**'}`;
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
    ...renderLosses(cells, peers),
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
  return `### Index and proofs, n = ${count(index.n)}\n\n${table(['', 'goal', 'here'], rows)}\n\nIn a memory store with node:crypto's SHA-256.`;
}

function renderLosses(cells, peers) {
  const name = new Map(peers.map((peer) => [peer.id, peer.name]));
  const isOurs = ({ peer }) => peer.startsWith('mangrove');
  const groups = Map.groupBy
    ? Map.groupBy(cells, cellKey)
    : cells.reduce((map, cell) => map.set(cellKey(cell), [...(map.get(cellKey(cell)) ?? []), cell]), new Map());
  const lines = [...groups].flatMap(([key, group]) => {
    const ours = group.filter(isOurs);
    if (ours.length === 0) return [];
    const measures = [
      ['bytes', (cell) => cell.bytes, bytes],
      ['round trips', (cell) => cell.roundTrips, String],
    ];
    return measures.flatMap(([what, read, show]) => {
      const best = Math.min(...ours.map(read));
      const ahead = group.filter((cell) => !isOurs(cell) && read(cell) < best);
      if (ahead.length === 0) return [];
      return [
        `- ${key}, ${what}: ${ahead.map((cell) => `${name.get(cell.peer)} ${show(read(cell))}`).join(', ')}; Mangrove ${show(best)}.`,
      ];
    });
  });
  return ['### Where others are ahead', lines.length === 0 ? 'In no cell of this run.' : lines.join('\n')];
}

const cellKey = ({ n, scenario, d }) => `n = ${count(n)}, ${scenario} ${count(d)}`;
