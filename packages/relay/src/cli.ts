#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createRelay, type Relay } from './runtimes/node.js';

const HELP = `Usage: mangrove-relay [options]

Stores and forwards what the rooms of Mangrove clients write; it does not look into it.

  --port <number>   port to listen on, 0 for any free one (8787)
  --host <address>  address to listen on (127.0.0.1)
  --data <folder>   where rooms are kept (./relay-data)
  --help            show this
  --version         show the version

SIGTERM and SIGINT stop it: what was acknowledged is on disk, then it exits with 0.
`;

interface Arguments {
  readonly port: number;
  readonly host: string;
  readonly data: string;
}

/** Bad arguments throw an Error whose message is one clear line. */
function readArguments(): Arguments | 'help' | 'version' {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8787' },
      host: { type: 'string', default: '127.0.0.1' },
      data: { type: 'string', default: './relay-data' },
      help: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.version) return 'version';
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535)
    throw new Error(`--port takes a number from 0 to 65535, not "${values.port}"`);
  if (values.host === '') throw new Error('--host takes an address');
  if (values.data === '') throw new Error('--data takes a folder');
  return { port, host: values.host, data: values.data };
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The first signal drains, a second one does not wait. */
function stopOnSignal(relay: Relay): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    relay.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

async function main(): Promise<void> {
  let args: Arguments | 'help' | 'version';
  try {
    args = readArguments();
  } catch (error) {
    // The first line says what is wrong; Node adds advice below it.
    console.error(`mangrove-relay: ${(error as Error).message.split('\n', 1)[0]}`);
    process.exitCode = 2;
    return;
  }
  if (args === 'help') return console.log(HELP.trimEnd());
  if (args === 'version') return console.log(readVersion());

  const { port, host, data: storage } = args;
  const relay = createRelay({ storage });
  stopOnSignal(relay);
  try {
    const { url } = await relay.listen({ port, host });
    console.log(`Mangrove relay is ready at ${url}`);
  } catch (error) {
    console.error(`mangrove-relay: ${describeFailure(error, args)}`);
    await relay.close();
    process.exitCode = 1;
  }
}

function describeFailure(error: unknown, { port, host, data }: Arguments): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `port ${port} of ${host} is in use; choose another with --port`;
  if (code === 'EACCES') return `no permission for port ${port} or the folder ${data}`;
  return message;
}

await main();
