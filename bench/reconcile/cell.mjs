// A process of its own for each peer and size: node cell.mjs '{"peer":"yjs","n":1000,…}' prints a line of JSON a cell.
import { peers } from './peers/index.mjs';
import { makeWorkload } from './workload.mjs';
import { median } from '../support/stats.mjs';

const { peer: id, n, differences, scenarios, rounds } = JSON.parse(process.argv[2]);
const peer = peers.find((one) => one.id === id);

for (const scenario of scenarios) {
  for (const d of differences) {
    if (!peer.canRun({ n, d, scenario })) continue;
    const runs = [];
    for (let round = 0; round < rounds; round++) {
      runs.push(await peer.run(makeWorkload({ n, d, scenario })));
      globalThis.gc?.();
    }
    const middle = (read) => median(runs.map(read));
    const cell = {
      peer: id,
      n,
      scenario,
      d,
      bytes: Math.round(middle(({ bytes }) => bytes)),
      roundTrips: middle(({ roundTrips }) => roundTrips),
      cpuMs: middle(({ cpuMs }) => cpuMs),
      notes: runs[0].notes,
    };
    console.log(JSON.stringify(cell));
  }
}
