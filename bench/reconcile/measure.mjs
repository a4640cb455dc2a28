import { tmpdir } from 'node:os';
import { describeMachine, describeTree } from '../support/machine.mjs';
import { runChild } from './child.mjs';
import { claims } from './claims/index.mjs';
import { peers } from './peers/index.mjs';

const LARGE = 100_000;
const MILLION = 1_000_000;
const CLAIM_SECONDS_MAX = 1_800;

/** Runs what is asked for and not kept, one process after the other, and returns all of it. */
export async function measure({ settings, only, kept }) {
  const isAsked = ({ id }) => only === undefined || only.includes(id);
  const asked = peers.filter(isAsked);
  const cells = [];
  for (const n of settings.sizes)
    for (const peer of asked)
      for (const scenario of settings.scenarios)
        cells.push(...(await measureRow({ peer, n, scenario, settings, kept, cells })));
  const claimed = {};
  for (const { id, sources } of claims.filter(isAsked)) {
    const work = () => runChild('claim.mjs', { id, settings }, CLAIM_SECONDS_MAX);
    claimed[id] = await kept.once({ id, settings }, sources, work);
    console.log(id);
  }
  return {
    bench: 'reconcile',
    date: new Date().toISOString().slice(0, 10),
    tree: describeTree(),
    machine: describeMachine(tmpdir()),
    settings,
    peers: asked.map(({ id, name, about, carries, versions }) => ({ id, name, about, carries, versions: versions() })),
    cells,
    claims: claimed,
  };
}

/** The cells of one peer, size and scenario, from the easiest on. */
async function measureRow({ peer, n, scenario, settings, kept, cells }) {
  const row = [];
  const differences = n >= MILLION ? settings.differencesOfMillion : settings.differences;
  for (const d of differences) {
    const cell = { peer: peer.id, n, scenario, d };
    const easier = [...cells, ...row].find(
      (one) => one.unfinished && one.peer === peer.id && one.scenario === scenario,
    );
    const reason = peer.cannot(cell);
    if (reason !== undefined) row.push({ ...cell, cannot: reason });
    else if (easier !== undefined) row.push({ ...cell, notTried: { n: easier.n, d: easier.d } });
    else row.push({ ...cell, ...(await measureCell({ peer, cell, settings, kept })) });
    const { notes: _, ...told } = row.at(-1);
    console.log(JSON.stringify(told));
  }
  return row;
}

function measureCell({ peer, cell, settings, kept }) {
  const asked = { ...cell, rounds: cell.n >= LARGE ? settings.roundsOfLarge : settings.rounds };
  const { cellSecondsMax } = settings;
  return kept.once({ ...asked, cellSecondsMax }, peer.sources, () => runChild('cell.mjs', asked, cellSecondsMax));
}
