import { treeInWords } from '../support/machine.mjs';
import { table } from '../support/table.mjs';
import { renderVerdict } from './verdict.mjs';

/** The Markdown of one run. Everything in it comes from the results, so that a run again redraws all of it. */
export function renderReport(results) {
  const { contestants, settings } = results;
  return `${[
    '# End to end: two browsers, one server',
    renderSetting(results),
    '## Key in A → model in B',
    `${settings.keys} single-character inserts, one every ${settings.keyEveryMs} ms; each cell is the median of ${settings.rounds} rounds, in brackets the lowest and the highest. All times in ms.`,
    renderLatency(contestants),
    'Where the time of the middle key goes, by what the proxies saw pass: from the key until its first byte leaves A, in the server, and from the wire until it is in the model of B.',
    renderLegs(contestants),
    '## Bytes per key',
    `TCP payload, everything included that passes from the first key until ${settings.tailMs} ms after the last: acknowledgements, echoes, presence.`,
    renderBytes(contestants),
    `## Both rejoin after ${settings.offlineEdits.toLocaleString('en')} offline edits each`,
    'From the moment the network lets both new connections through until both models have all. "Needed": one Yjs update with all edits of one side, for both sides. The upgrade requests of the WebSockets are not in the bytes. The wait before a client tries again is its own setting and is not in the time.',
    renderRejoin(contestants),
    ...(results.explained === undefined ? [] : renderExplained(results)),
    '## What each wins, and what it does for it',
    renderGuarantees(contestants),
    ...renderVerdict(results),
  ].join('\n\n')}\n`;
}

function renderSetting({ date, tree, machine, settings, contestants }) {
  const versions = contestants
    .flatMap(({ versions }) => Object.entries(versions))
    .map(([name, version]) => `${name} ${version}`);
  const loads = machine.loadsAfterRounds.join(', ');
  return [
    `${date}; ${treeInWords(tree)}. ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, data on ${machine.fileSystem}, Node ${machine.node}, ${machine.chromium}.`,
    `Load of one minute at the start ${machine.loadAtStart}, at the end ${machine.loadAtEnd}, after each measurement: ${loads}.`,
    ...(Math.max(machine.loadAtStart, ...machine.loadsAfterRounds) > machine.cores
      ? [
          '**The machine was busy with other work during this run: compare the columns of one table, take no absolute time from it.**',
        ]
      : []),
    ...(settings.rounds === 1
      ? ['**One round only: each contestant had the load of its own moment, so times say little; bytes do not mind.**']
      : []),
    `Rounds: ${settings.rounds}, interleaved. Versions: ${versions.join(', ')}.`,
  ].join('\n');
}

function renderLatency(contestants) {
  return table(
    ['', 'p50', 'p99', 'in the browser', 'at the server', 'signed'],
    contestants.map(({ name, latencyMs, browserStore, serverStore, signed }) => [
      name,
      spread(latencyMs.p50, 1),
      spread(latencyMs.p99, 1),
      browserStore,
      serverStore,
      signed,
    ]),
  );
}

function renderLegs(contestants) {
  return table(
    ['p50', 'A: key to wire', 'server', 'B: wire to model'],
    contestants.map(({ name, legsP50Ms: { keyToWire, server, wireToModel } }) => [
      name,
      ...[keyToWire, server, wireToModel].map((leg) => spread(leg, 1)),
    ]),
  );
}

function renderBytes(contestants) {
  return table(
    ['', 'A → server', 'server → A', 'server → B', 'B → server', 'all'],
    contestants.map(({ name, bytesPerKey }) => [
      name,
      ...Object.values(bytesPerKey).map((value) => value.median.toFixed(1)),
    ]),
  );
}

function renderRejoin(contestants) {
  return table(
    [
      '',
      'models equal, ms',
      'roots equal and in sync, ms',
      'bytes up',
      'of needed',
      'bytes down',
      'wait before trying again, ms',
    ],
    contestants.map(({ name, rejoin }) => [
      name,
      spread(rejoin.convergedMs, 0),
      rejoin.inSyncMs === undefined ? 'has none' : spread(rejoin.inSyncMs, 0),
      spread(rejoin.bytesUp, 0),
      `${rejoin.bytesUpOverNeeded.median.toFixed(2)}×`,
      spread(rejoin.bytesDown, 0),
      spread(rejoin.reconnectDelayMs, 0),
    ]),
  );
}

function renderExplained({ explained, pushes, rejoinMessages }) {
  const directions = ['aToServer', 'serverToA', 'serverToB', 'bToServer', 'total'];
  const sums = directions.map((direction) => explained.reduce((sum, row) => sum + row[direction], 0));
  const cell = (bytes) => (bytes === 0 ? '' : bytes.toFixed(1));
  return [
    '## What each byte of Mangrove is for',
    `Bytes per key, read from what passed with the codec itself; the rows add up to what the proxies counted. Nobody shows a cursor, so there is no presence. A made ${pushes.deltasPerKey.toFixed(2)} deltas a key: keys that come while one is being sealed share the next.`,
    table(
      ['', 'A → relay', 'relay → A', 'relay → B', 'B → relay', 'all'],
      [
        ...explained.map((row) => [row.purpose, ...directions.map((direction) => cell(row[direction]))]),
        ['**all**', ...sums.map((sum) => `**${sum.toFixed(1)}**`)],
      ],
    ),
    `One pushed delta of one key has ${pushes.one.bytes} bytes: ${pushes.one.parts.map(({ part, bytes }) => `${part} ${bytes}`).join(', ')}.`,
    'What passed when both rejoined, with the frames of the WebSocket:',
    table(
      ['message', 'count', 'bytes'],
      Object.entries(rejoinMessages).map(([name, { messages, bytes }]) => [name, messages, bytes]),
    ),
  ];
}

function renderGuarantees(contestants) {
  return table(
    ['', 'a key leaves A', 'in the browser', 'at the server', 'signed', 'knows that both are equal'],
    contestants.map(({ id, name, sent, browserStore, serverStore, signed }) => [
      name,
      sent,
      browserStore,
      serverStore,
      signed,
      id === 'mangrove' ? 'yes: equal Merkle roots' : 'no',
    ]),
  );
}

function spread({ median, min, max }, digits) {
  const text = (value) => value.toFixed(digits);
  return min === max ? text(median) : `${text(median)} (${text(min)}–${text(max)})`;
}
