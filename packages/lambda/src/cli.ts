#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { check } from './cli/check.js';
import { hash } from './cli/hash.js';
import { CommandError, readCommand } from './cli/options.js';
import { run } from './cli/run.js';

const HELP = `Usage: mangrove-lambda check <file> [conflicts.json]
       mangrove-lambda run <file> <conflicts.json>
       mangrove-lambda hash <file>

Tries a custom merge before it ships. <file> is JavaScript (.js), Python (.py) or WebAssembly (.wasm).

  check   loads it, merges the sample conflicts forwards, backwards and in a new instance, and compares results and fuel
  run     merges each sample conflict and prints the results, one line of JSON each
  hash    prints the id to pin it with

  --kind js|python|wasm   what the file is, where its name does not tell
  --fuel <number>         of one merge; as all limits it is part of the id
  --depth-bytes <number>  of the stack
  --help, --version

conflicts.json is a list of {"collection", "id", "siblings": [{"replica", "writtenAt", "value"}…]}. A delete has "deleted": true in
place of "value"; "result", where it is given, is what the merge has to come to, and {"deleted": true} beside no "result" a delete.

Exits with 0 when all is well, with 1 when the lambda is not, and with 2 when the command is not.
`;

async function main(args: readonly string[]): Promise<number> {
  try {
    const command = readCommand(args);
    if (command.name === 'help') return say(HELP.trimEnd());
    if (command.name === 'version') return say(readVersion());
    if (command.name === 'hash') return say(await hash(command));
    const { lines, isOk } = await (command.name === 'run' ? run(command) : check(command));
    say(lines.join('\n'));
    return isOk ? 0 : 1;
  } catch (error) {
    console.error(`mangrove-lambda: ${(error as Error).message}`);
    return error instanceof CommandError ? 2 : 1;
  }
}

function say(text: string): number {
  console.log(text);
  return 0;
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

process.exitCode = await main(process.argv.slice(2));
