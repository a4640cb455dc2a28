import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { describeMachine, describeTree, loadNow } from '../support/machine.mjs';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { claims } from './claims/index.mjs';
import { peers } from './peers/index.mjs';

const HEAP_MIB = 6_000;
const MILLION = 1_000_000;

/** Runs what the settings ask for, one process after the other, and returns all of it. */
export async function measure(settings) {
  const startedAt = new Date().toISOString();
  const loadAtStart = loadNow();
  const isAsked = (name) => settings.only === undefined || settings.only.includes(name);
  const cells = [];
  for (const n of settings.sizes) {
    for (const peer of peers.filter(({ id }) => isAsked(id))) {
      const { differences, scenarios } = settings;
      const rounds = n >= MILLION ? settings.roundsOfMillion : n >= MILLION / 10 ? 1 : settings.rounds;
      const asked = {
        peer: peer.id,
        n,
        differences: n >= MILLION ? ends(differences) : differences,
        scenarios,
        rounds,
      };
      cells.push(...(await inProcess('cell.mjs', asked)));
    }
  }
  const claimed = {};
  for (const { id } of claims.filter((claim) => isAsked(claim.id)))
    [claimed[id]] = await inProcess('claim.mjs', { id, settings });
  return {
    bench: 'reconcile',
    date: startedAt.slice(0, 10),
    tree: describeTree(),
    machine: { ...describeMachine(tmpdir()), loadAtStart, loadAtEnd: loadNow() },
    settings,
    peers: peers
      .filter(({ id }) => isAsked(id))
      .map(({ id, name, about, carries, versions }) => ({ id, name, about, carries, versions: versions() })),
    cells,
    claims: claimed,
  };
}

/** A million items take minutes to set up: the smallest and the largest difference. */
const ends = (list) => [...new Set([list[0], list.at(-1)])];

/** The JSON lines that a process of this folder prints. */
function inProcess(file, argument) {
  return new Promise((resolve, reject) => {
    const args = [
      `--max-old-space-size=${HEAP_MIB}`,
      '--expose-gc',
      fromRoot('bench/reconcile', file),
      JSON.stringify(argument),
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
      process.stdout.write(chunk.replace(/,"notes".*?(?=\n|$)/g, '}'));
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) reject(new Error(`${file} ${JSON.stringify(argument)} ended with code ${code}`));
      else
        resolve(
          output
            .split('\n')
            .filter(Boolean)
            .map((line) => JSON.parse(line)),
        );
    });
  });
}
