import { treeInWords } from '../support/machine.mjs';

/** Below so many edits what a document takes is its tail, whatever Yjs needs. */
const PROPORTION_FROM = 10_000;
const count = (number) => number.toLocaleString('en');

/** The figures as a page, with how they came about. */
export function renderGrowth({ machine, tree, source, document, record }) {
  return `# Growth

A document edited and a record written a million times, by one replica, through the client's engine and the relay's room as they ship, in one process of
Node with rows in memory on both sides (no browser, no disk). \`npm run bench:growth\`.

${whereOf(machine, tree)}

## A document

${source}, over and over: at its end the text is deleted and typed again. The page's updates are journaled in bursts of 20 edits, sealed, sent and acknowledged, and the
checkpoints are made as the limits say.

${tableOf(COLUMNS, document)}

*Yjs* is what \`Y.encodeStateAsUpdate\` needs for the document: the text, and the place of everything ever deleted, which no one can leave out without a
new document. Stored bytes follow it${largestProportion(document)}. They are
not flat where it is not, and nor is the time to open: Yjs loads the document twice, in the worker and in the page, and the tail is merged. The stored bytes of
a document of constant size, whose deletions Yjs can join, stay flat: a test holds it (growth.test.ts).

## A record

One value, \`{ clicks: n }\`, put again and again, 20 at a time.

${tableOf(COLUMNS, record)}

## How to read it

- **Stored bytes**: keys and values of all tables. At the relay the set with its index stands apart from superseded bytes, which it keeps for seven days as it cannot know
  whether what superseded them can be read, and from its log, which drops the entries of those after the same time. An edit is a minute of virtual time, so the seven
  days are 10,080 edits; a room edited faster keeps more for that while.
- **Open**: a new engine over a copy of the rows, up to the value in the page (a Y.Doc with the text, an entry); median of seven. **Root**: the Merkle index built anew from
  the rows and its root, compared with the relay's; median of seven.
- Timers run 50 times as fast as they ship, so that a checkpoint's wait is short beside a thousand edits a second. Figures are taken when the root has stood still.
- What is read is compared with what was written at each line.
`;
}

/** The same for records that were made and deleted. */
export function renderDeleted({ machine, tree, deleted }) {
  return `# Records made and deleted

One record that stays, and others that are made and deleted, each once and 20 at a time, by one replica, measured as in [growth.md](growth.md): the engine and the
relay's room as they ship, rows in memory. \`npm run bench:growth -- --deleted\`.

${whereOf(machine, tree)}

${tableOf(DELETED_COLUMNS, deleted)}

A floor is written for 1,024 tombstones or more, so that fewer than that may be left at a line; nothing else may grow with what was deleted. *Names* are rows of
the client's listing. The relay keeps superseded bytes and its log for seven days of virtual time, 10,080 writes. *Open* reads the record that stays; *root* builds the
Merkle index anew from the rows. What is read, and both roots, are compared at each line. After each 20 nobody writes for half a second of the time that runs 50 times as fast.
`;
}

/** A heading and what stands below it, of each column. */
const COLUMNS = [
  ['edits', (row) => row.edits],
  ['deltas held', (row) => row.deltas],
  ['Yjs / value B', (row) => row.neededBytes],
  ['client B', (row) => row.clientBytes],
  ['per Yjs', (row) => proportionOf(row).toFixed(2)],
  ['relay: set B', (row) => row.relaySetBytes],
  ['retained B', (row) => row.relayRetainedBytes],
  ['log B', (row) => row.relayLogBytes],
  ['open ms', (row) => row.openMs],
  ['root ms', (row) => row.rootMs],
  ['edits/s', (row) => row.editsPerSecond],
];

const DELETED_COLUMNS = [
  ['made and deleted', (row) => row.edits],
  ['deltas held', (row) => row.deltas],
  ['tombstones', (row) => row.tombstones],
  ['names', (row) => row.names],
  ['client B', (row) => row.clientBytes],
  ['relay: set B', (row) => row.relaySetBytes],
  ['retained B', (row) => row.relayRetainedBytes],
  ['log B', (row) => row.relayLogBytes],
  ['open ms', (row) => row.openMs],
  ['root ms', (row) => row.rootMs],
  ['records/s', (row) => row.editsPerSecond],
];

function largestProportion(rows) {
  const proportions = rows.filter(({ edits }) => edits >= PROPORTION_FROM).map(proportionOf);
  if (proportions.length === 0) return '';
  const times = Math.max(...proportions).toFixed(2);
  return `: from ${count(PROPORTION_FROM)} edits on they are at most ${times} times as many; before, deltas that no checkpoint was due for outweigh the text`;
}

const proportionOf = ({ clientBytes, neededBytes }) => clientBytes / neededBytes;

function tableOf(columns, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const shown = (cell) => (typeof cell === 'number' ? count(cell) : cell);
  return [
    line(columns.map(([heading]) => heading)),
    `|${' ---: |'.repeat(columns.length)}`,
    ...rows.map((row) => line(columns.map(([, cell]) => shown(cell(row))))),
  ].join('\n');
}

function whereOf({ cores, memoryGiB, platform, node, loadBefore, loadAfter }, tree) {
  return `${node}, ${platform}, ${cores} cores, ${memoryGiB} GiB, load ${loadBefore} before and ${loadAfter} after; ${treeInWords(tree)}.`;
}
