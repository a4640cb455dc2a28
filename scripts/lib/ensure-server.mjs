import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from './run.mjs';

/** The servers that a fleet of relays shares, as Debian packages them: its PostgreSQL is in a folder of its version, beside PATH. */
const SERVERS = {
  nats: {
    title: 'NATS',
    variable: 'MANGROVE_NATS',
    program: 'nats-server',
    packages: ['nats-server'],
    folders: () => ['/usr/sbin'],
  },
  postgres: {
    title: 'PostgreSQL',
    variable: 'MANGROVE_POSTGRES',
    program: 'postgres',
    packages: ['postgresql'],
    folders: () => foldersIn('/usr/lib/postgresql').map((version) => join('/usr/lib/postgresql', version, 'bin')),
  },
};

/** The path of the server's program: its variable, else where Debian has it, else on PATH. Undefined where there is none. */
export function findServer(name) {
  const { variable, program, folders } = SERVERS[name];
  const given = process.env[variable];
  if (given) return isExecutable(given) ? given : undefined;
  const all = [...folders(), ...(process.env.PATH ?? '').split(delimiter)];
  return all.map((folder) => join(folder, program)).find((path) => isExecutable(path));
}

/** Installs it where it can, and says so; whoever needs it looks again with {@link findServer}. */
export async function ensureServer(name) {
  const { title, variable, packages } = SERVERS[name];
  if (findServer(name) !== undefined) return;
  const isRoot = process.getuid?.() === 0;
  const canInstall =
    process.platform === 'linux' && isRoot && (await run('apt-get', ['--version'], { quiet: true })).code === 0;
  if (canInstall && !process.env[variable]) {
    console.log(`${title} is missing: apt-get install ${packages.join(' ')}`);
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-q'], { quiet: true, env });
    await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], { quiet: true, env });
  }
  if (findServer(name) === undefined)
    console.log(`${title} cannot be had here: its tests are skipped (${variable} names another one).`);
}

function foldersIn(path) {
  try {
    return readdirSync(path).sort((a, b) => Number(b) - Number(a));
  } catch {
    return [];
  }
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
