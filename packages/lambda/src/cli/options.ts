import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { LambdaSpec } from '../lambda.js';
import type { LambdaKind } from '../lambda-id.js';

/** What is wrong with the command, not with the lambda. */
export class CommandError extends Error {}

export interface LambdaCommand {
  readonly name: 'check' | 'run' | 'hash';
  readonly spec: LambdaSpec;
  /** The path of the sample conflicts. */
  readonly conflicts: string | undefined;
}

export type Command = LambdaCommand | { readonly name: 'help' } | { readonly name: 'version' };

const KINDS: Record<string, LambdaKind> = { js: 'js', py: 'python', wasm: 'wasm' };

export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help) return { name: 'help' };
  if (values.version) return { name: 'version' };
  const [name, file, conflicts, ...others] = positionals;
  if (name !== 'check' && name !== 'run' && name !== 'hash')
    throw new CommandError('say check, run or hash; --help says more');
  if (file === undefined) throw new CommandError(`${name} needs a file`);
  if (others.length > 0 || (name === 'hash' && conflicts !== undefined))
    throw new CommandError(`${name} takes fewer files`);
  if (name === 'run' && conflicts === undefined) throw new CommandError('run needs a file of conflicts');
  const limits = {
    ...(values.fuel === undefined ? {} : { fuel: readNumber('fuel', values.fuel) }),
    ...(values['depth-bytes'] === undefined ? {} : { depthBytes: readNumber('depth-bytes', values['depth-bytes']) }),
  };
  return { name, spec: { kind: readKind(values.kind, file), code: readBytes(file), limits }, conflicts };
}

export function readBytes(path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        kind: { type: 'string' },
        fuel: { type: 'string' },
        'depth-bytes': { type: 'string' },
        help: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    // The first line says what is wrong; Node adds advice below it.
    throw new CommandError((error as Error).message.split('\n', 1)[0]);
  }
}

function readKind(given: string | undefined, file: string): LambdaKind {
  const kind = given === undefined ? KINDS[file.slice(file.lastIndexOf('.') + 1)] : given;
  if (kind !== 'js' && kind !== 'python' && kind !== 'wasm')
    throw new CommandError(`what is ${file}? Say --kind js, python or wasm`);
  return kind;
}

function readNumber(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new CommandError(`--${name} is not a number above 0: ${text}`);
  return number;
}
