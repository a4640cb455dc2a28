import { treeInWords } from '../support/machine.mjs';
import { table } from '../support/table.mjs';

const RATIO_WANTED = 2;
const RSS_WANTED_MIB = 100;

export function render({ machine, tree, writers, writeEveryMs, messagesPerSecond, calmMs, floodMs, kinds }) {
  const { cores, memoryGiB, platform, node, fileSystem, loadBefore, loadAfter } = machine;
  const rows = kinds.map(({ what, before, during, after, ratio, rssMiB, sent, connections, told }) => [
    what,
    ...[before, during, after].map(({ p50, p99 }) => `${p50} / ${p99}`),
    `${ratio}${ratio <= RATIO_WANTED ? '' : ' **over**'}`,
    `${rssMiB}${rssMiB <= RSS_WANTED_MIB ? '' : ' **over**'}`,
    `${sent} / ${connections} / ${told}`,
  ]);
  return `# Flood

One socket floods a room in which others write. \`npm run bench:flood\`.

${node}, ${platform}, ${cores} cores, ${memoryGiB} GiB, data on ${fileSystem}; load ${loadBefore} before and ${loadAfter} after; ${treeInWords(tree)}.

${writers} honest writers push a delta every ${writeEveryMs} ms into one room of the relay as it is shipped, with its default rates. Beside them another process sends up to ${messagesPerSecond}
messages a second over one connection to the same room, and comes back at once when that is ended. Times in ms from a push until another writer has it, p50 / p99: alone for
${calmMs / 1000} s, beside the flood for ${floodMs / 1000} s, alone again for ${calmMs / 1000} s. Wanted: a p99 beside the flood of at most ${RATIO_WANTED} times that before it, and ${RSS_WANTED_MIB} MiB more memory at most.

${table(['flood of', 'before', 'during', 'after', 'p99 ratio', 'MiB more', 'sent / connections / times told'], rows)}

What was sent is what the flooder's socket took: a relay that reads no further leaves the rest with the sender. All processes share the cores, so the flooder's own work is in the
figures as well.
`;
}
