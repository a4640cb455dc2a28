import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { turned } from '../support/turned.mjs';
import { contestants } from './contestants.mjs';
import { Clients } from './load/clients.mjs';
import { loads } from './loads.mjs';
import { MeasuredServer } from './server.mjs';

const DATA_FOLDER = fromRoot('bench/.cache/relay-data');

/**
 * Every contestant under every load in every round, in an order that turns from round to round. What is kept is not run again; what is not begun before
 * `stopAtMs` is missing in the results.
 */
export async function measure({ settings, only, loads: wanted, kept, stopAtMs }) {
  const chosen = contestants.filter(({ id }) => only?.includes(id) ?? true);
  const asked = Object.keys(loads).filter((load) => wanted?.includes(load) ?? true);
  if (chosen.length === 0 || asked.length === 0) throw new Error('nothing is left to measure.');
  await mkdir(DATA_FOLDER, { recursive: true });
  const parts = [];
  for (let round = 0; round < settings.rounds; round++)
    for (const load of asked.filter((load) => round < (settings.roundsOf[load] ?? settings.rounds)))
      for (const contestant of turned(chosen, round)) {
        const part = { contestant: contestant.id, load, round };
        const work = () => measureOne(contestant, load, settings);
        const found = Date.now() > stopAtMs ? kept?.find(part) : await (kept?.once(part, work) ?? work());
        if (found === undefined) continue;
        parts.push({ ...part, ...found });
        console.log(JSON.stringify({ ...part, ...found }));
      }
  const machine = describeMachine(DATA_FOLDER);
  await rm(DATA_FOLDER, { recursive: true, force: true, maxRetries: 5 });
  return {
    bench: 'relay',
    date: new Date().toISOString().slice(0, 10),
    tree: describeTree(),
    machine,
    settings,
    contestants: chosen.map(({ id, name, keeps, isWorkerd, versions }) => ({
      id,
      name,
      keeps,
      isWorkerd,
      versions: versions(),
    })),
    loads: asked,
    parts,
  };
}

async function measureOne(contestant, load, settings) {
  const folder = await mkdtemp(join(DATA_FOLDER, 'data-'));
  const server = await MeasuredServer.start(contestant, folder);
  const clients = new Clients();
  try {
    const figures = await loads[load]({ contestant, server, clients }, settings);
    return { machineLoad: loadNow(), figures };
  } catch (error) {
    throw new Error(`${contestant.name}, ${load}: ${error.message}`, { cause: error });
  } finally {
    await clients.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
