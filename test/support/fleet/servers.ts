import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { findServer } from '../../../scripts/lib/ensure-server.mjs';
import { findFreePort } from '../free-port.js';

const UP_MS_MAX = 30_000;

/** What undoes it all: the end of the test, or `afterAll` for a server of a whole file. */
type Later = (undo: () => Promise<void>) => void;

export const hasNats = findServer('nats') !== undefined;
export const hasPostgres = findServer('postgres') !== undefined;

/** A real server on a random port with a folder of its own, a direct child: it can be killed and started again over the same data. */
export interface Server {
  readonly port: number;
  readonly url: string;
  start(): Promise<void>;
  /** As a power cut would, but for the disk. */
  kill(): Promise<void>;
}

class ServerProcess implements Server {
  readonly port: number;
  readonly url: string;
  readonly #spawn: () => ChildProcess;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(port: number, url: string, spawning: () => ChildProcess) {
    this.port = port;
    this.url = url;
    this.#spawn = spawning;
  }

  async start(): Promise<void> {
    const child = this.#spawn();
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (this.#output += text));
    const deadline = Date.now() + UP_MS_MAX;
    while (!(await answers(this.port))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`the server did not start: ${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function makeDataFolder(name: string, later: Later): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `mangrove-${name}-`));
  later(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** One NATS server with JetStream; `routes` makes it a member of a cluster. */
async function makeNats(
  later: Later,
  cluster?: { readonly port: number; readonly routes: readonly number[]; readonly name: string },
): Promise<Server> {
  const program = findServer('nats') as string;
  const folder = await makeDataFolder('nats', later);
  const port = await findFreePort();
  const config = [
    `listen: "127.0.0.1:${port}"`,
    `jetstream { store_dir: ${JSON.stringify(join(folder, 'data'))} }`,
    ...(cluster === undefined
      ? []
      : [
          `server_name: ${cluster.name}`,
          `cluster { name: fleet, listen: "127.0.0.1:${cluster.port}", routes: [${cluster.routes.map((route) => `"nats://127.0.0.1:${route}"`).join(', ')}] }`,
        ]),
  ];
  const file = join(folder, 'server.conf');
  await writeFile(file, config.join('\n'));
  const server = new ServerProcess(port, `nats://127.0.0.1:${port}`, () =>
    spawn(program, ['-c', file], { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  later(() => server.kill());
  return server;
}

export async function startNats(later: Later = onTestFinished): Promise<Server> {
  const server = await makeNats(later);
  await server.start();
  return server;
}

/** Three servers that elect leaders. */
export async function startNatsCluster(
  later: Later = onTestFinished,
): Promise<{ readonly servers: readonly Server[]; readonly url: string }> {
  const routes = [await findFreePort(), await findFreePort(), await findFreePort()];
  const servers = await Promise.all(routes.map((port, i) => makeNats(later, { port, routes, name: `n${i}` })));
  await Promise.all(servers.map((server) => server.start()));
  return { servers, url: servers.map(({ url }) => url).join(',') };
}

/** It refuses to run as root, so as root it runs as who it was installed for. */
export async function startPostgres(later: Later = onTestFinished): Promise<Server> {
  const bin = dirname(findServer('postgres') as string);
  const folder = await makeDataFolder('postgres', later);
  const isRoot = process.getuid?.() === 0;
  const owner = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  if (owner.uid !== undefined && owner.gid !== undefined) await chown(folder, owner.uid, owner.gid);
  const data = join(folder, 'data');
  execFileSync(join(bin, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'], {
    ...owner,
    cwd: folder,
    stdio: 'ignore',
  });
  const port = await findFreePort();
  const args = [
    '-D',
    data,
    '-p',
    String(port),
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    `unix_socket_directories=${folder}`,
  ];
  const server = new ServerProcess(port, `postgres://postgres@127.0.0.1:${port}/postgres`, () =>
    spawn(join(bin, 'postgres'), args, { ...owner, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  later(() => server.kill());
  await server.start();
  return server;
}

function idOf(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
}
