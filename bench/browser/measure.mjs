import { mkdir, rm, writeFile } from 'node:fs/promises';
import { build } from 'vite';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { servePage } from '../support/page-server.mjs';
import { applyEdits, readTrace } from '../support/trace.mjs';
import { turned } from '../support/turned.mjs';
import { documentContestants, recordContestants } from './contestants.mjs';
import { runDocumentRound } from './document-round.mjs';
import { unpackPackages } from './packed.mjs';
import { runRecordRound } from './record-round.mjs';
import { PAGE_FOLDER, pageConfig } from './vite.config.mjs';

const DATA_FOLDER = fromRoot('bench/.cache/browser-data');

/**
 * Every contestant in every round, in an order that turns by one from round to round, so that what else the machine does falls on
 * all of them. A contestant that fails says so in its rows, and the others go on.
 */
export async function measure(settings) {
  // Of what is packed now: somebody may go on working while this runs.
  const tree = describeTree();
  await build(pageConfig(await unpackPackages()));
  const trace = readTrace();
  const edits = trace.edits.slice(0, settings.edits);
  await writeFile(`${PAGE_FOLDER}/trace.json`, JSON.stringify(edits));
  await rm(DATA_FOLDER, { recursive: true, force: true });
  await mkdir(DATA_FOLDER, { recursive: true });
  const site = await servePage(PAGE_FOLDER);
  const context = { settings, site, dataFolder: DATA_FOLDER, text: applyEdits('', edits) };
  const parts = [
    { part: 'documents', contestants: chosenOf(documentContestants, settings), runRound: runDocumentRound },
    { part: 'records', contestants: chosenOf(recordContestants, settings), runRound: runRecordRound },
  ].filter(({ part }) => settings.parts.includes(part));

  const startedAt = new Date().toISOString();
  const loadAtStart = loadNow();
  const rounds = [];
  try {
    for (let round = 0; round < settings.rounds; round++) {
      for (const { part, contestants, runRound } of parts) {
        for (const contestant of turned(contestants, round)) {
          const figures = await figuresOf(() => runRound({ ...context, contestant, round }));
          rounds.push({ part, round, contestant: contestant.id, load: loadNow(), ...figures });
          console.log(`round ${round + 1}, ${part}, ${contestant.name}: ${figures.failed ?? 'done'}`);
        }
      }
    }
  } finally {
    await site.close();
  }
  const machine = describeMachine(DATA_FOLDER);
  await rm(DATA_FOLDER, { recursive: true, force: true, maxRetries: 5 });
  return {
    startedAt,
    loadAtStart,
    loadAtEnd: loadNow(),
    tree,
    machine,
    settings,
    trace: { source: trace.source, edits: edits.length, length: context.text.length },
    parts,
    rounds,
  };
}

function chosenOf(contestants, { only }) {
  return contestants.filter(({ id }) => only?.includes(id) ?? true);
}

async function figuresOf(run) {
  try {
    return await run();
  } catch (error) {
    // The first line: what follows is a call log of the driver.
    return { failed: String(error?.message ?? error).split('\n')[0] };
  }
}
