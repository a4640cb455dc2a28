import { bytes, count } from './report-table.mjs';

/** CPU differences below this are noise between programs that differ in so much else. */
const CPU_FACTOR = 2;
const MEASURES = [
  { what: 'fewer bytes', read: (cell) => cell.bytes, show: bytes, factor: 1 },
  { what: 'fewer round trips', read: (cell) => cell.roundTrips, show: String, factor: 1 },
  {
    what: 'less than half the CPU',
    read: (cell) => cell.cpuMs,
    show: (ms) => `${Math.ceil(ms)} ms`,
    factor: CPU_FACTOR,
  },
];

/** Every cell in which a peer needs less than Mangrove without a cursor, which is the fair one to hold against peers that have none. */
export function renderLosses({ cells: all, peers }) {
  const cells = all.filter((cell) => cell.bytes !== undefined);
  const isOurs = ({ id }) => id.startsWith('mangrove');
  const ours = (cell) => cells.find((one) => one.peer === 'mangrove' && isSame(one, cell));
  const lines = peers
    .filter((peer) => !isOurs(peer))
    .flatMap(({ id, name }) => {
      const own = cells.filter((cell) => cell.peer === id && ours(cell) !== undefined);
      return MEASURES.flatMap(({ what, read, show, factor }) => {
        const ahead = own.filter((cell) => read(cell) * factor < read(ours(cell)));
        if (ahead.length === 0) return [];
        const told = ahead.map((cell) => `${label(cell)}: ${show(read(cell))} against ${show(read(ours(cell)))}`);
        return [`- **${name}**, ${what} in ${ahead.length} of ${own.length} cells. ${told.join('; ')}.`];
      });
    });
  return [
    '## Where others are ahead',
    [
      'Against the row *Mangrove* (no cursor). A sketch is not among the peers, as there is no package to run: a rateless IBLT (Yang et al. 2024) needs 1.35 to 1.72 coded symbols for each difference, by',
      'calculation some 50 kB and one round trip for 1,000 scattered differences a side with 8-byte ids. It knows no order, proves nothing and can be fed with chosen ids.',
    ].join('\n'),
    lines.length === 0 ? 'In no cell of this run.' : lines.join('\n'),
  ];
}

const isSame = (a, b) => a.n === b.n && a.scenario === b.scenario && a.d === b.d;

const label = ({ n, scenario, d }) => `${scenario} ${count(d)} of ${short(n)}`;

function short(n) {
  return n >= 1_000_000 ? `${n / 1_000_000}M` : `${n / 1_000}k`;
}
