import { treeInWords } from '../support/machine.mjs';
import { table } from '../support/table.mjs';
import { costOf, PRICES, SOURCE } from './prices.mjs';

const PEOPLE = 1_000;
/** A row for the commit of one key, and its part of the pages. */
const ROWS_ALONE = 1.2;

const count = (value) =>
  value >= 1_000 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3)).toString();
const dollars = (value) => `$${value < 0.01 ? value.toFixed(4) : value.toFixed(2)}`;

export function render({ machine, tree, scenes }) {
  const [typing] = scenes;
  const { rows, total } = costOf(typing, PEOPLE);
  const scale = (PEOPLE * 3_600_000) / typing.keyEveryMs / typing.keys;
  const unpacked = total + (typing.rowsPlanned - typing.rowsWritten) * scale * PRICES.rowWritten;
  const alone = total + Math.max(0, ROWS_ALONE * typing.keys - typing.rowsWritten) * scale * PRICES.rowWritten;
  const perKey =
    ({ keys, ...measured }) =>
    (name) =>
      (measured[name] / keys).toFixed(2);
  return `# What a relay on Cloudflare costs

Computed by \`npm run bench:cost\` from what was measured in workerd, and from [Cloudflare's list prices](${SOURCE}) of November 2026. What the plan of $5 a month includes
(50 million rows written, 25 billion rows read, a million requests and 400,000 GB-seconds of objects) is not taken off.

**${PEOPLE.toLocaleString('en')} people who type for an hour, in rooms of ${typing.people}, cost ${dollars(total)}, and ${dollars(alone)} if no two of them ever shared a commit.** Each of them types a key every ${typing.keyEveryMs} ms without a pause${typing.cursors ? ', with a cursor that all others see' : ''}: nobody
types like that for an hour, so it is a bound.

${table(
  ['', 'in that hour', 'costs'],
  [
    ...rows.map(([what, amount, cost]) => [what, count(amount), dollars(cost)]),
    ['**all**', '', `**${dollars(total)}**`],
  ],
)}

What is kept is counted as if all of it stayed for a month: what a checkpoint covers goes after seven days.

An object in whose room somebody types is never let go of, so its time is counted in full. In a room where everybody only reads, or has gone to lunch, objects hibernate: their sockets
stay, pings are answered without waking them, and nothing is paid.

## By key

${table(
  [
    'people in a room',
    'key every',
    'cursors',
    'messages to the room',
    'rows written',
    'rows read',
    `${PEOPLE.toLocaleString('en')} people, an hour`,
  ],
  scenes.map((scene) => {
    const of = perKey(scene);
    return [
      scene.people,
      `${scene.keyEveryMs} ms`,
      scene.cursors ? 'yes' : 'no',
      of('messages'),
      of('rowsWritten'),
      of('rowsRead'),
      dollars(costOf(scene, PEOPLE).total),
    ];
  }),
)}

Messages are pushes, cursors, and what each person says of how far it has come. A commit is one row, however many of these it holds, and what hundreds of commits have written goes into packed
pages together ([decision 29](decisions/0029-cloudflare.md)). The same commits write ${perKey(typing)('rowsPlanned')} rows a key of the room's tables: with a row of the database for each of them it would be
${dollars(unpacked)} instead of ${dollars(total)}.

Measured for ${Math.round(typing.durationMs / 1_000)} s after a warm-up, and until all agreed (typing took ${Math.round(typing.tookMs / 1_000)} s), with the shipped client's engine for each person and the shipped relay in workerd, over real sockets. ${machine.node}, ${machine.platform},
${machine.cores} cores; ${treeInWords(tree)}. On Cloudflare a disk takes longer to say that it has written, and pushes that come meanwhile share a commit: there it may be fewer rows, not more.
A row is what \`rowsWritten\` of SQLite's cursor says, an index entry counted as one. Prices: ${dollars(PRICES.rowWritten * 1e6)} a million rows written, $0.001 a million rows read, $0.15 a million
requests of objects, twenty messages being one, $12.50 a million GB-seconds at ${PRICES.objectGigabytes * 1_000} MB an object, $0.20 a GB and month.
`;
}
