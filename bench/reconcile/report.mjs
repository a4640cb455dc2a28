import { renderClaims } from './report-claims.mjs';
import { renderLosses } from './report-losses.mjs';
import { renderTargets } from './report-targets.mjs';
import { treeInWords } from '../support/machine.mjs';
import { table } from '../support/table.mjs';
import { bytes, count } from './report-table.mjs';

/** The Markdown of one run. Everything in it comes from the results, so that a run again redraws all of it. */
export function renderReport(results) {
  return `${[
    '# Reconciliation: finding what two sides do not share',
    renderSetting(results),
    renderMethod(results),
    ...renderLosses(results),
    ...renderTargets(results),
    ...results.settings.sizes.flatMap((n) => renderSize(results, n)),
    ...renderClaims(results),
  ].join('\n\n')}\n`;
}

function renderSetting({ date, tree, machine, peers, cells }) {
  const versions = new Map(peers.flatMap(({ versions }) => Object.entries(versions)));
  const loads = cells.flatMap(({ load }) => (load === undefined ? [] : [load]));
  const [least, most] = [Math.min(...loads), Math.max(...loads)];
  return [
    `${date}; ${treeInWords(tree)}. ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}. Load of one minute when a cell began: ${least} to ${most}.`,
    ...renderNode(machine, peers),
    ...(most > machine.cores
      ? [
          '**The machine was busy with other work. Bytes and round trips do not mind; CPU is that of the process alone, but caches and cores were shared: differences below 2× are noise.**',
        ]
      : []),
    `Versions: ${[...versions].map(([name, version]) => `${name} ${version}`).join(', ')}.`,
  ].join('\n');
}

/** The product runs from Node 20 on, and so do all peers but one. */
function renderNode({ node }, peers) {
  const major = Number(/^v(\d+)/.exec(node)[1]);
  if (major === 20 || !peers.some(({ id }) => id === 'evolu')) return [];
  return [`Node ${major}, though the product runs from 20 on, because Evolu asks for it; all of them ran on the same.`];
}

function renderMethod({ peers, cells, settings }) {
  const setUpBytes = cells.find(({ notes }) => notes?.setUpBytes !== undefined)?.notes.setUpBytes;
  return [
    '## Method',
    [
      'Both sides hold `n` items; each holds `d` more, so 2d differ. **tail**: the newest d of each side, by one new author a side. **scattered**: spread evenly over the',
      'history, in turns left and right. 32 authors write in bursts of 20 to n/64 keys; the items are the same for all, and seeded. A cell is **bytes both ways / round trips / CPU ms of both sides**, until',
      'the side that began knows what to send and what to fetch. Outside what is measured every peer is checked to have found, or to hold, exactly what differed.',
    ].join('\n'),
    [
      '- **Bytes**: all of every message in both directions, as the peer encodes it, without the framing of a transport (WebSocket, HTTP), which none of them has.',
      '- **Round trips**: messages in turns over a link where a message takes half a round trip and work no time. Setting a connection up is in no cell.',
      `- **CPU**: user and system time of the whole process (both sides and the collector) in the measured region; setting up is not in it. Each cell has a process of its own, in which a cell of 1,000 items goes before. Median of ${settings.rounds} at 1,000 items, one run from 10,000 on.`,
      `- **Bounds**: a cell that takes more than ${settings.cellSecondsMax} s of CPU, setting up included, is told as such, and nothing harder is tried of that peer in that scenario.`,
    ].join('\n'),
    peers.map(({ name, about, carries }) => `- **${name}**: ${about}. Carries ${carries}.`).join('\n'),
    [
      '*What is counted for Mangrove*: every byte of every frame after admission, acknowledgements included, but for the bytes that wanted deltas add to',
      `their messages; deltas sent in vain count. Admission (hello, welcome, admitted: ${setUpBytes} bytes, without certificates) is left out, as the others have none here. The code is the product’s: \`stepSync\` at both ends, the plans of`,
      'the room, the codecs and frames, stores in memory; nobody verifies signatures, and taking deltas in is not in its CPU (it is in `takenCpuMs` of the notes in results.json), as negentropy, the search tree and',
      'Yjs take nothing in here either; Automerge and Evolu do. The deltas travel within these round trips. negentropy and the search tree end at ids: fetching and sending the items is a round trip more. In the columns of',
      'Automerge, Evolu and Yjs the items are in the bytes, as they say none without the other: compare d = 1.',
    ].join('\n'),
  ].join('\n\n');
}

function renderSize({ peers, cells, settings }, n) {
  const own = cells.filter((cell) => cell.n === n);
  const columns = settings.scenarios.flatMap((scenario) =>
    settings.differences
      .filter((d) => own.some((cell) => cell.scenario === scenario && cell.d === d))
      .map((d) => ({ scenario, d })),
  );
  if (columns.length === 0) return [];
  const reasons = [];
  const rows = peers.map(({ id, name }) => [
    name,
    ...columns.map(({ scenario, d }) => {
      const cell = own.find((one) => one.peer === id && one.scenario === scenario && one.d === d);
      const reason = reasonOf(cell, settings);
      if (reason === undefined) return `${bytes(cell.bytes)} / ${cell.roundTrips} / ${Math.round(cell.cpuMs)}`;
      const told = cell.notMeasured ? reason.text : `${name}, ${scenario}: ${reason.text}`;
      if (!reasons.includes(told)) reasons.push(told);
      return reason.mark;
    }),
  ]);
  return [
    `## n = ${count(n)}`,
    table(['', ...columns.map(({ scenario, d }) => `${scenario} ${count(d)}`)], rows),
    ...(reasons.length === 0 ? [] : [reasons.map((reason) => `- ${reason}.`).join('\n')]),
    ...renderVain(own),
    ...(n === 100_000 || settings.sizes.length === 1
      ? settings.scenarios.flatMap((scenario) =>
          ['bytes-by-differences', 'bytes-by-size', 'cpu-by-size'].map((plot) => `![${plot}](${plot}-${scenario}.svg)`),
        )
      : []),
  ];
}

/** Deltas that a side had already, or sent itself: where there are some, they are most of what a cell costs. */
function renderVain(cells) {
  const told = cells.flatMap(({ peer, scenario, d, notes }) => {
    const vain = notes?.vainBytes ?? 0;
    return vain > 0
      ? [`${peer === 'mangrove' ? 'Mangrove' : 'returning'}, ${scenario} ${count(d)}: ${bytes(vain)}`]
      : [];
  });
  return told.length === 0 ? [] : [`Of Mangrove’s bytes, deltas sent in vain: ${told.join('; ')}.`];
}

/** Why a cell has no figures, or undefined when it has. */
function reasonOf(cell, { cellSecondsMax }) {
  if (cell.cannot !== undefined) return { mark: '–', text: cell.cannot };
  if (cell.notMeasured) return { mark: '?', text: '?: not measured in this run, which was told when to stop' };
  if (cell.notTried !== undefined)
    return {
      mark: 'not tried',
      text: `not tried, as n = ${count(cell.notTried.n)}, d = ${count(cell.notTried.d)} was not done in time`,
    };
  if (cell.unfinished === 'memory') return { mark: 'no memory', text: 'it ran out of memory' };
  if (cell.unfinished === 'time') {
    const where = cell.measuring ? 'in the measured region' : 'while it was set up';
    return { mark: `> ${cellSecondsMax} s`, text: `more than ${cellSecondsMax} s of CPU; ended ${where}` };
  }
  return undefined;
}
