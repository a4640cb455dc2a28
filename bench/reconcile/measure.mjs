import { tmpdir } from 'node:os';
import { describeMachine, describeTree } from '../support/machine.mjs';
import { runChild } from './child.mjs';
import { claims } from './claims/index.mjs';
import { peers } from './peers/index.mjs';

const LARGE = 10_000;
const MILLION = 1_000_000;
const CLAIM_CPU_SECONDS_MAX = 1_800;

/**
 * Runs what is asked for and not kept, one process after the other, and returns all of it; the largest size comes last. What is not begun
 * before `stopAtMs` is told as not measured.
 */
export async function measure({ settings, only, kept, stopAtMs }) {
  const isAsked = ({ id }) => only === undefined || only.includes(id);
  const run = { settings, kept, stopAtMs, peers: peers.filter(isAsked), cells: [] };
  await measureSizes(
    run,
    settings.sizes.filter((n) => n < MILLION),
  );
  const claimed = {};
  for (const { id, sources } of claims.filter(isAsked)) {
    const asked = { id, settings };
    const work = () => runChild('claim.mjs', asked, CLAIM_CPU_SECONDS_MAX);
    const found = await onceInTime(run, asked, sources, work);
    if (found !== undefined) claimed[id] = found;
    console.log(found === undefined ? `${id}: not measured` : id);
  }
  await measureSizes(
    run,
    settings.sizes.filter((n) => n >= MILLION),
  );
  return {
    bench: 'reconcile',
    date: new Date().toISOString().slice(0, 10),
    tree: describeTree(),
    machine: describeMachine(tmpdir()),
    settings,
    peers: run.peers.map(({ id, name, about, carries, versions }) => ({
      id,
      name,
      about,
      carries,
      versions: versions(),
    })),
    cells: run.cells,
    claims: claimed,
  };
}

async function measureSizes(run, sizes) {
  for (const n of sizes)
    for (const peer of run.peers)
      for (const scenario of run.settings.scenarios) await measureRow(run, peer, n, scenario);
}

/** The cells of one peer, size and scenario, from the easiest on. */
async function measureRow(run, peer, n, scenario) {
  const { settings, cells } = run;
  const differences = n >= MILLION ? settings.differencesOfMillion : settings.differences;
  for (const d of differences) {
    const cell = { peer: peer.id, n, scenario, d };
    const easier = cells.find((one) => one.unfinished && one.peer === peer.id && one.scenario === scenario);
    const reason = peer.cannot(cell);
    if (reason !== undefined) cells.push({ ...cell, cannot: reason });
    else if (easier !== undefined) cells.push({ ...cell, notTried: { n: easier.n, d: easier.d } });
    else cells.push({ ...cell, ...((await measureCell(run, peer, cell)) ?? { notMeasured: true }) });
    const { notes: _, ...told } = cells.at(-1);
    console.log(JSON.stringify(told));
  }
}

function measureCell(run, peer, cell) {
  const { cellSecondsMax, rounds, roundsOfLarge } = run.settings;
  const asked = { ...cell, rounds: cell.n >= LARGE ? roundsOfLarge : rounds };
  const work = () => runChild('cell.mjs', asked, cellSecondsMax);
  return onceInTime(run, { ...asked, cellSecondsMax }, peer.sources, work);
}

function onceInTime({ kept, stopAtMs }, asked, sources, work) {
  return Date.now() > stopAtMs ? kept.find(asked, sources) : kept.once(asked, sources, work);
}
