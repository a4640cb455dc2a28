import { treeInWords } from '../support/machine.mjs';
import { table } from '../support/table.mjs';

/** What is wanted of each way: less than this in 95 of 100 tries. */
const P95_WANTED_MS = 1_000;

const WORDS = {
  close: 'closed',
  crash: 'crashed (`Page.crash`)',
  kill: 'its process killed (`SIGKILL`)',
};

export function render({ machine, tree, tries, writes, ways, browser }) {
  const { cores, memoryGiB, platform, node, fileSystem, loadBefore, loadAfter } = machine;
  const rows = ways.map(({ how, p50, p95, max }) => [
    WORDS[how],
    p50,
    p95,
    max,
    p95 <= P95_WANTED_MS ? 'yes' : '**no**',
  ]);
  return `# Failover

The tab that owns the replica ends; how long until a write of another tab is on the relay's disk? \`npm run bench:failover\`.

${browser}, ${node}, ${platform}, ${cores} cores, ${memoryGiB} GiB, data on ${fileSystem}; load ${loadBefore} before and ${loadAfter} after; ${treeInWords(tree)}.

${tries} tries of each, taking turns, in one browser with its profile on disk; the demo as it is built, a relay with LMDB. All times in ms.

${table(['the owner’s tab is', 'p50', 'p95', 'longest', `p95 within ${P95_WANTED_MS}`], rows)}

The time begins before the command that ends the tab and ends when the other tab, which writes as soon as the first is gone, has the write's receipt at rung \`relay\`. It has in it that the
browser notices and frees the lock, the next epoch in the store, a new connection with its handshake, sealing what the former owner had no time to send, and the write itself. Before each
end the owner has written one record that it was told is on the relay's disk, and one of which it was told no more than that it is on its own. At the end all ${writes} writes are there, or the run fails.
`;
}
