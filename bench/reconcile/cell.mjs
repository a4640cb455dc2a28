// A process of its own for each cell: node cell.mjs '{"peer":"yjs","n":1000,"scenario":"tail","d":1,"rounds":1}' prints it as JSON.
import { peers } from './peers/index.mjs';
import { makeWorkload } from './workload.mjs';
import { median } from '../support/stats.mjs';

const WARM_UP = { n: 1_000, dMax: 100 };

const { peer: id, n, scenario, d, rounds } = JSON.parse(process.argv[2]);
const peer = peers.find((one) => one.id === id);

// Nobody's code is compiled in the first milliseconds of a process: a small cell goes before, and is not told.
await peer.run(makeWorkload({ n: WARM_UP.n, d: Math.min(d, WARM_UP.dMax), scenario }));

const runs = [];
for (let round = 0; round < rounds; round++) {
  globalThis.gc?.();
  runs.push(await peer.run(makeWorkload({ n, d, scenario })));
}
const middle = (read) => median(runs.map(read));
console.log(
  JSON.stringify({
    bytes: Math.round(middle(({ bytes }) => bytes)),
    roundTrips: middle(({ roundTrips }) => roundTrips),
    cpuMs: middle(({ cpuMs }) => cpuMs),
    notes: runs[0].notes,
  }),
);
