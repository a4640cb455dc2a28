import { renderClaims } from './report-claims.mjs';
import { renderTargets } from './report-targets.mjs';
import { bytes, count, table } from './report-table.mjs';

/** The Markdown of one run. Everything in it comes from the results, so that a run again redraws all of it. */
export function renderReport(results) {
  return `${[
    '# Reconciliation: finding what two sides do not share',
    renderSetting(results),
    renderMethod(results),
    ...results.settings.sizes.flatMap((n) => renderSize(results, n)),
    ...renderTargets(results),
    ...renderClaims(results),
  ].join('\n\n')}\n`;
}

function renderSetting({ date, tree, machine, peers }) {
  const versions = new Map(peers.flatMap(({ versions }) => Object.entries(versions)));
  return [
    `${date}; commit ${tree.commit}${tree.isDirty ? ', with changes that are not committed' : ''}. ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}. Load of one minute at the start ${machine.loadAtStart}, at the end ${machine.loadAtEnd}.`,
    ...(machine.loadAtEnd > machine.cores
      ? [
          '**The machine was busy with other work: CPU times are of the process alone, but differences below 2× are noise.**',
        ]
      : []),
    `Versions: ${[...versions].map(([name, version]) => `${name} ${version}`).join(', ')}.`,
  ].join('\n');
}

function renderMethod({ peers, settings }) {
  return [
    '## Method',
    [
      'Both sides hold `n` items; each holds `d` more, so 2d differ. **tail**: the newest d of each side, by one new author a side. **scattered**: spread evenly over the',
      'history, in turns left and right. 32 authors write in bursts of 20 to n/64 keys. A cell is **bytes both ways / round trips / CPU ms of both sides**, until the side that',
      'began knows what to send and what to fetch; every peer is checked to have found exactly the differences. Each peer and size has a process of its own;',
      `medians of ${settings.rounds} for n up to 10,000, single runs above. CPU is user and system time of the whole process; setting up is not in it.`,
    ].join('\n'),
    peers.map(({ name, about, carries }) => `- **${name}**: ${about}. Carries ${carries}.`).join('\n'),
    [
      '*What is counted for Mangrove*: every byte of every frame after admission, acknowledgements included, but for the deltas that were wanted (with the length before',
      'each); deltas sent in vain count. Taking deltas in is not in its CPU, as no other peer here takes anything in, but Automerge. The deltas travel within these round trips. negentropy',
      'and the search tree end at ids: fetching and sending the items is a round trip more. In the tail columns of Automerge and Yjs the items are in the bytes, as neither says',
      'one without the other: compare d = 1.',
    ].join('\n'),
  ].join('\n\n');
}

function renderSize({ peers, cells, settings }, n) {
  const columns = settings.scenarios.flatMap((scenario) =>
    settings.differences
      .filter((d) => cells.some((cell) => cell.n === n && cell.scenario === scenario && cell.d === d))
      .map((d) => ({ scenario, d })),
  );
  if (columns.length === 0) return [];
  const rows = peers.map(({ id, name }) => [
    name,
    ...columns.map(({ scenario, d }) => {
      const cell = cells.find((one) => one.peer === id && one.n === n && one.scenario === scenario && one.d === d);
      return cell === undefined ? '–' : `${bytes(cell.bytes)} / ${cell.roundTrips} / ${Math.round(cell.cpuMs)}`;
    }),
  ]);
  return [
    `## n = ${count(n)}`,
    table(['', ...columns.map(({ scenario, d }) => `${scenario} ${count(d)}`)], rows),
    ...(n === 100_000 || settings.sizes.length === 1
      ? settings.scenarios.flatMap((scenario) =>
          ['bytes-by-differences', 'bytes-by-size', 'cpu-by-size'].map((plot) => `![${plot}](${plot}-${scenario}.svg)`),
        )
      : []),
  ];
}
