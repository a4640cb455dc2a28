#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { CommandError } from './cli/folder.js';
import { MAINTENANCE_HELP, maintain, readCommand } from './cli/maintain.js';
import { helpOfFlags, readFlags } from './cli/options.js';
import { readServing, serve } from './cli/serve.js';

const HELP = `Usage: mangrove-relay [options]
       mangrove-relay inspect | verify | export | import | compact <folder> …

Stores and forwards what the rooms of Mangrove clients write; it does not look into it.

${helpOfFlags()}

Each option can be given as an environment variable: MANGROVE_ and its name in capitals, such as MANGROVE_LOG_LEVEL.

SIGTERM and SIGINT stop it: what was acknowledged is on disk, then it exits with 0.

${MAINTENANCE_HELP}
`;

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function main(args: readonly string[]): Promise<void> {
  try {
    const command = readCommand(args);
    if (command !== undefined) return console.log((await maintain(command)).join('\n'));
    const given = readFlags(args, process.env);
    if (given.help === 'true') return console.log(HELP.trimEnd());
    if (given.version === 'true') return console.log(readVersion());
    const serving = await readServing(given);
    await serve(serving);
  } catch (error) {
    // The first line says what is wrong; Node adds advice below it.
    console.error(`mangrove-relay: ${(error as Error).message.split('\n', 1)[0]}`);
    process.exitCode = error instanceof CommandError ? error.exitCode : 2;
  }
}

await main(process.argv.slice(2));
