import { DOCUMENT_FLOOR, documentMeasures, RECORD_FLOOR, recordMeasures } from './measures.mjs';
import { renderMethod } from './report-method.mjs';
import { renderStanding } from './report-standing.mjs';
import { treeInWords } from '../support/machine.mjs';
import { table } from '../support/table.mjs';

/** The Markdown of one run. Everything in it comes from the results, so that a run again redraws all of it. */
export function renderReport(results) {
  const { documents = [], records = [] } = results;
  return `${[
    '# One browser: editing, keeping and opening',
    renderSetting(results),
    ...renderStanding(results),
    ...(documents.length === 0 ? [] : renderDocuments(results)),
    ...(records.length === 0 ? [] : renderRecords(results)),
    ...renderMethod(results),
  ].join('\n\n')}\n`;
}

function renderSetting({ date, tree, machine, settings, documents = [], records = [] }) {
  const versions = new Map([...documents, ...records].flatMap(({ versions }) => Object.entries(versions)));
  const loads = machine.loadsAfterRounds;
  return [
    `${date}; ${treeInWords(tree)}. ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, data on ${machine.fileSystem}, Node ${machine.node}, ${machine.chromium}.`,
    `Load of one minute at the start ${machine.loadAtStart}, at the end ${machine.loadAtEnd}, after each contestant ${Math.min(...loads)} to ${Math.max(...loads)}.`,
    ...(Math.max(...loads) > 2 * machine.cores
      ? [
          '**The machine was busy with other work during this run: compare within one column, take no absolute time from it, and make nothing of differences below 2×.**',
        ]
      : []),
    `Rounds: ${settings.rounds}, contestants in turns. Versions: ${[...versions].map(([name, version]) => `${name} ${version}`).join(', ')}.`,
  ].join('\n');
}

function renderDocuments({ documents, trace }) {
  const editing = documentMeasures.slice(0, 8);
  return [
    '## A document',
    `${trace.edits.toLocaleString('en')} edits (${trace.source}), which leave ${trace.length.toLocaleString('en')} characters. In brackets: times raw Yjs.`,
    '### Editing it',
    renderTable(documents, editing, DOCUMENT_FLOOR, [['on disk means', (c) => c.durability]]),
    '![edits](edit-task.svg) ![bursts](burst.svg) ![disk](disk.svg)',
    '### Opening it',
    'Since the navigation began: code loaded, text in the model, text painted. Cold is in a browser that was just started, warm in one that had the page before.',
    table(
      ['ms', 'cold: code', 'readable', 'visible', 'warm: code', 'readable', 'visible', 'without code, cold', '… warm'],
      documents.map((c) => [c.name, ...(c.failed === undefined ? openCells(c, documents) : [`failed: ${c.failed}`])]),
    ),
    '![cold open](cold.svg)',
    '### Storing and holding it',
    table(
      [
        '',
        'keys and values',
        'rows',
        'files of the browser',
        'memory after opening',
        '… page',
        '… workers',
        'all edits made, s',
      ],
      documents.map((c) => [c.name, ...(c.failed === undefined ? storeCells(c, documents) : [`failed: ${c.failed}`])]),
    ),
    '![stored](stored.svg)',
  ];
}

function openCells({ cold, warm }, documents) {
  const floor = documents.find(({ id, failed }) => id === DOCUMENT_FLOOR && failed === undefined);
  const bare = (opens) => opens.readableMs.median - opens.loadedMs.median;
  const times = (value, base) => `${value.toFixed(0)}${base === undefined ? '' : ` (${(value / base).toFixed(1)}×)`}`;
  return [
    cold.loadedMs.median.toFixed(0),
    times(cold.readableMs.median, floor?.cold.readableMs.median),
    cold.visibleMs.median.toFixed(0),
    warm.loadedMs.median.toFixed(0),
    times(warm.readableMs.median, floor?.warm.readableMs.median),
    warm.visibleMs.median.toFixed(0),
    times(bare(cold), floor && bare(floor.cold)),
    times(bare(warm), floor && bare(floor.warm)),
  ];
}

function storeCells({ stored, memory, fillMs }, documents) {
  const floor = documents.find(({ id, failed }) => id === DOCUMENT_FLOOR && failed === undefined);
  const kib = (figure) => `${(figure.median / 1_024).toFixed(0)} KiB`;
  const mib = (figure) => (figure === undefined ? '' : `${(figure.median / 2 ** 20).toFixed(1)} MiB`);
  const times = (figure, base) => (base === undefined ? '' : ` (${(figure.median / base.median).toFixed(1)}×)`);
  return [
    kib(stored.bytes) + times(stored.bytes, floor?.stored.bytes),
    stored.rows.median.toLocaleString('en'),
    kib(stored.diskBytes),
    mib(memory.bytes) + times(memory.bytes, floor?.memory.bytes),
    mib(memory.scopes.Window),
    mib(memory.scopes.DedicatedWorkerGlobalScope),
    (fillMs.median / 1_000).toFixed(1),
  ];
}

function renderRecords({ records, settings }) {
  return [
    '## Records',
    `${settings.records.toLocaleString('en')} records of about 120 bytes. In brackets: times raw IndexedDB with strict durability.`,
    renderTable(records, recordMeasures, RECORD_FLOOR, [['on disk means', (c) => c.durability]]),
    ...renderCutShort(records, settings),
    '![one by one](one-by-one.svg) ![at once](at-once.svg) ![reads](get.svg)',
  ];
}

/** One row a contestant, one column a measure, each with its multiple of the floor's. */
function renderTable(contestants, measures, floorId, others) {
  const floor = contestants.find(({ id }) => id === floorId);
  return table(
    ['', ...measures.map(({ what, unit }) => (unit === 'ms' ? `${what}, ms` : what)), ...others.map(([what]) => what)],
    contestants.map((c) => [
      c.name,
      ...(c.failed === undefined
        ? [...measures.map((measure) => cell(measure, c, floor)), ...others.map(([, read]) => read(c))]
        : [`failed: ${c.failed}`]),
    ]),
  );
}

function cell({ read, show }, contestant, floor) {
  const figure = read(contestant);
  if (figure === undefined) return '–';
  const base = floor && read(floor);
  const times = base === undefined || contestant === floor ? '' : ` (${(figure.median / base.median).toFixed(1)}×)`;
  return `${show(figure.median)}${times}`;
}

function renderCutShort(records, { records: count, oneByOneSecondsMax }) {
  const cut = records.filter(({ oneByOne }) => oneByOne !== undefined && oneByOne.put.median < count);
  if (cut.length === 0) return [];
  const told = cut.map(({ name, oneByOne }) => `${name} ${oneByOne.put.median.toLocaleString('en')}`);
  return [`One by one ends after ${oneByOneSecondsMax} s; until then were put: ${told.join(', ')}.`];
}
