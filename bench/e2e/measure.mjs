import { mkdir, rm } from 'node:fs/promises';
import { build } from 'vite';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { servePage } from '../support/page-server.mjs';
import { turned } from '../support/turned.mjs';
import { contestants } from './contestants.mjs';
import { runRound } from './round.mjs';
import viteConfig, { PAGE_FOLDER } from './vite.config.mjs';

const DATA_FOLDER = fromRoot('bench/.cache/e2e-data');

const RETRIES_MAX = 2;

/**
 * Every contestant in every round, in an order that turns by one from round to round, so that what else the machine does
 * falls on all of them.
 */
export async function measure(settings) {
  const chosen = contestants.filter(({ id }) => settings.only?.includes(id) ?? true);
  if (chosen.length === 0) throw new Error('--only names no contestant.');
  await build(viteConfig);
  await mkdir(DATA_FOLDER, { recursive: true });
  const site = await servePage(PAGE_FOLDER);
  const startedAt = new Date().toISOString();
  const loadAtStart = loadNow();
  const rounds = [];
  try {
    for (let round = 0; round < settings.rounds; round++) {
      for (const contestant of turned(chosen, round)) {
        const figures = await runUntilWhole({ contestant, round, settings, site, dataFolder: DATA_FOLDER });
        rounds.push({ round, contestant: contestant.id, load: loadNow(), ...figures });
        console.log(summarize(round, contestant, figures));
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
    tree: describeTree(),
    machine,
    settings,
    contestants: chosen,
    rounds,
  };
}

/** A browser that was ended from outside says nothing of the contestant; any other failure ends the run. */
async function runUntilWhole(options) {
  for (let retries = 0; ; retries++) {
    try {
      return { retries, ...(await runRound(options)) };
    } catch (error) {
      if (retries === RETRIES_MAX || !/has been closed|crashed/.test(error?.message)) throw error;
      console.log(`${options.contestant.name}: the browser was lost, once more`);
    }
  }
}

function summarize(round, { name }, { typing, rejoin }) {
  const { p50, p99 } = typing.latencyMs;
  return (
    `round ${round + 1}, ${name}: key ${p50.toFixed(2)} / ${p99.toFixed(2)} ms, ${typing.bytesPerKey.total.toFixed(1)} bytes a key, ` +
    `rejoin ${rejoin.convergedMs.toFixed(1)} ms, ${rejoin.bytesUp} bytes up of ${rejoin.neededBytes} needed`
  );
}
