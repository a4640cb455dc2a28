import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { NodeReplica } from '../support/node-replica.js';
import { RelayProcess } from '../support/relay-process.js';
import { TcpProxy } from '../support/tcp-proxy.js';

// Relays as they ship, each a process with a disk, that are peers of each other; replicas as they ship, at either.

globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket;

const TOKEN = 'a secret of these relays';
let folder: string;
let tokenFile: string;
let relays: RelayProcess[];
let proxies: TcpProxy[];
let replicas: NodeReplica[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mangrove-peers-'));
  tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${TOKEN}\n`);
  [relays, proxies, replicas] = [[], [], []];
});

afterEach(async () => {
  for (const replica of replicas) await replica.close();
  for (const proxy of proxies) await proxy.close();
  for (const relay of relays) await relay.stop();
  await rm(folder, { recursive: true, force: true });
});

/** `linked`: for each relay those that it dials, by number. */
async function startRelays(linked: readonly (readonly number[])[]): Promise<void> {
  for (const _ of linked) relays.push(await RelayProcess.prepare());
  for (const [i, peers] of linked.entries()) {
    const relay = relays[i] as RelayProcess;
    const args = ['--peer-token-file', tokenFile];
    for (const peer of peers) {
      const proxy = await TcpProxy.open((relays[peer] as RelayProcess).port);
      proxies.push(proxy);
      args.push('--peer', proxy.url);
    }
    relay.args = args;
    await relay.start();
  }
}

const relay = (index: number): RelayProcess => relays[index] as RelayProcess;
const urlOf = (index: number): string => relay(index).url.replace('http', 'ws');
const cut = (): void => proxies.forEach((proxy) => proxy.cut());
const heal = (): void => proxies.forEach((proxy) => proxy.heal());

async function join_(at: number | readonly string[], room = 'team'): Promise<NodeReplica> {
  const replica = await NodeReplica.open(typeof at === 'number' ? urlOf(at) : at, room);
  replicas.push(replica);
  return replica;
}

async function rootsEqual(indexes: readonly number[], room = 'team'): Promise<string> {
  let roots: (string | undefined)[] = [];
  await expect
    .poll(
      async () => {
        roots = await Promise.all(indexes.map(async (index) => (await relay(index).version(room))?.root));
        return roots[0] !== undefined && new Set(roots).size === 1;
      },
      { timeout: 60_000, interval: 100 },
    )
    .toBe(true);
  return roots[0] as string;
}

const reads = (replica: NodeReplica, ids: readonly string[]) =>
  expect.poll(async () => (await replica.read()).toSorted(), { timeout: 60_000 }).toEqual([...ids].toSorted());

test.each([
  ['one dials the other', [[1], []]],
  ['the other dials', [[], [0]]],
  ['each dials the other', [[1], [0]]],
  ['each dials all, itself too', [[0, 1], [0, 1]]],
])('[FD4] what is written at one of two relays is read at the other, both ways: %s', async (_, linked) => {
  await startRelays(linked);
  const ann = await join_(0);
  const bob = await join_(1);
  await ann.put(['a1', 'a2'], 1);
  await bob.put(['b1'], 2);
  await reads(bob, ['a1', 'a2', 'b1']);
  await reads(ann, ['a1', 'a2', 'b1']);
  await ann.remove(['b1']);
  await reads(bob, ['a1', 'a2']);
  await rootsEqual([0, 1]);
});
