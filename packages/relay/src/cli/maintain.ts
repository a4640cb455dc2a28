import { parseArgs } from 'node:util';
import { compact } from './compact.js';
import { type Folder, openFolder } from './folder.js';

export const MAINTENANCE_HELP = `Of a data folder that no relay uses:
  mangrove-relay inspect <folder>                       its rooms
  mangrove-relay verify <folder>                        reads everything, recomputes roots and signatures
  mangrove-relay export <folder> --room <name> --out <file>   the backup of a room, as room.backup() makes it
  mangrove-relay import <folder> <file>                 merges a backup, of this or of a client
  mangrove-relay compact <folder>                       gives back the space of what is gone
They exit with 0, 1 where something is wrong with what they looked at, 2 for bad arguments, and 3 where the folder cannot be used.`;

type Task = (folder: Folder) => Promise<readonly string[]>;

interface Command {
  readonly folder: string;
  readonly mayMake: boolean;
  readonly task: Task;
}

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Command>> = {
  inspect: (args) => onFolder(args, async (folder) => (await import('./verify.js')).inspect(folder)),
  verify: (args) => onFolder(args, async (folder) => (await import('./verify.js')).verify(folder)),
  compact: (args) => onFolder(args, (folder) => compact(folder, folder.environment.path)),
  export: (args) => {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { room: { type: 'string' }, out: { type: 'string' } },
      allowPositionals: true,
    });
    const { room, out } = values;
    if (room === undefined || out === undefined) throw new Error('export takes a folder, --room and --out');
    return onFolder(positionals, async (folder) => (await import('./backup.js')).exportRoom(folder, room, out));
  },
  import: (args) => {
    const [path, file, ...others] = args;
    if (path === undefined || file === undefined || others.length > 0)
      throw new Error('import takes a folder and a file');
    return {
      folder: path,
      mayMake: true,
      task: async (folder) => (await import('./backup.js')).importFile(folder, file),
    };
  },
};

/** Undefined where the first argument names no command. Bad arguments throw an Error with one clear line. */
export function readCommand([name, ...args]: readonly string[]): Command | undefined {
  const isCommand = name !== undefined && Object.hasOwn(COMMANDS, name);
  return isCommand ? COMMANDS[name]?.(args) : undefined;
}

/** What there is to say, a line each. Throws `CommandError`. */
export async function maintain({ folder: path, mayMake, task }: Command): Promise<readonly string[]> {
  const folder = await openFolder(path, { mayMake });
  try {
    return await task(folder);
  } finally {
    await folder.close();
  }
}

function onFolder(args: readonly string[], task: Task): Command {
  const [folder, ...others] = args;
  if (folder === undefined || folder.startsWith('-') || others.length > 0) throw new Error('it takes one folder');
  return { folder, mayMake: false, task };
}
