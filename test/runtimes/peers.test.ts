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
const cut = (): void => {
  for (const proxy of proxies) proxy.cut();
};
const heal = (): void => {
  for (const proxy of proxies) proxy.heal();
};

async function enter(at: number | readonly string[], room = 'team'): Promise<NodeReplica> {
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
  [
    'each dials all, itself too',
    [
      [0, 1],
      [0, 1],
    ],
  ],
])('[FD4] what is written at one of two relays is read at the other, both ways: %s', async (_, linked) => {
  await startRelays(linked);
  const ann = await enter(0);
  const bob = await enter(1);
  await ann.put(['a1', 'a2'], 1);
  await bob.put(['b1'], 2);
  await reads(bob, ['a1', 'a2', 'b1']);
  await reads(ann, ['a1', 'a2', 'b1']);
  await ann.remove(['b1']);
  await reads(bob, ['a1', 'a2']);
  await rootsEqual([0, 1]);
});

test('[FD4] two regions that are cut off from each other keep working and come together afterwards', async () => {
  await startRelays([[1], [0]]);
  const [ann, bob] = [await enter(0), await enter(1)];
  await ann.put(['before'], 1);
  await reads(bob, ['before']);
  cut();
  const [mine, theirs] = [ids('a', 40), ids('b', 40)];
  await Promise.all([ann.put(mine, 1), bob.put(theirs, 2), ann.put(['both'], 1), bob.put(['both'], 2)]);
  expect(await ann.read()).not.toContain('b0');
  heal();
  const all = ['before', 'both', ...mine, ...theirs];
  await Promise.all([reads(ann, all), reads(bob, all)]);
  const root = await rootsEqual([0, 1]);
  await expect
    .poll(() => [ann, bob].map(({ status }) => [status.sync, status.root]))
    .toEqual([
      ['in-sync', root],
      ['in-sync', root],
    ]);
});

test.each([
  ['in a line', [[1], [2], []]],
  ['in a ring', [[1], [2], [0]]],
  [
    'each with each',
    [
      [1, 2],
      [0, 2],
      [0, 1],
    ],
  ],
])('[FD4] three relays %s have the same in the end, also where one was killed meanwhile', async (_, linked) => {
  await startRelays(linked);
  const [ann, cat] = [await enter(0), await enter(2)];
  await ann.put(ids('a', 5), 1);
  await cat.put(ids('c', 5), 1);
  await reads(cat, [...ids('a', 5), ...ids('c', 5)]);
  await relay(1).kill();
  await ann.put(ids('more', 5), 1);
  await relay(1).start();
  const bob = await enter(1);
  const all = [...ids('a', 5), ...ids('c', 5), ...ids('more', 5)];
  await Promise.all([reads(bob, all), reads(cat, all)]);
  await rootsEqual([0, 1, 2]);
});

test('[FD4] a room that only the peer knows is fetched when somebody opens it here', async () => {
  await startRelays([[1], []]);
  const bob = await enter(1, 'theirs');
  await bob.put(ids('b', 300), 1);
  await bob.close();
  replicas = [];
  const ann = await enter(0, 'theirs');
  await reads(ann, ids('b', 300));
});

test('[FD5] who does not know the secret is no peer, and harms nobody', async () => {
  await startRelays([[], [0]]);
  await relay(1).stop();
  await writeFile(tokenFile, 'another secret, not theirs');
  await relay(1).start();
  const [ann, bob] = [await enter(0), await enter(1)];
  await ann.put(['a'], 1);
  await bob.put(['b'], 1);
  await expect.poll(() => relay(1).output, { timeout: 20_000 }).toContain('UNAUTHORIZED');
  expect([await ann.read(), await bob.read()]).toEqual([['a'], ['b']]);
});

test('[FD6] head statements cross: what is written at one relay is known to be at a replica of the other', async () => {
  await startRelays([[1], []]);
  const [ann, bob] = [await enter(0), await enter(1)];
  await bob.put(['b'], 1);
  await ann.put(['a'], 1);
  await ann.reached(['late'], 'replicas');
  await bob.reached(['later'], 'replicas');
});

const metric = async (index: number, name: string): Promise<number> => {
  const text = await (await fetch(`${relay(index).url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) || each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
};

test('[FD4] a client whose relay is lost goes on at the next, and returns when it is back; nothing is lost', async () => {
  await startRelays([[1], [0]]);
  const both = [urlOf(0), urlOf(1)];
  const [ann, bob] = [await enter(both), await enter(both)];
  await ann.put(['first'], 1);
  await reads(bob, ['first']);
  const home = (await metric(0, 'mangrove_connections')) > (await metric(1, 'mangrove_connections')) ? 0 : 1;
  // Of the two bridges either may be the one that stays.
  const settled = async () =>
    Math.max(...(await Promise.all([0, 1].map((index) => metric(index, 'mangrove_peer_rooms_settled')))));
  await expect.poll(settled, { timeout: 30_000 }).toBe(1);
  await relay(home).kill();
  await ann.put(ids('meanwhile', 10), 1);
  await reads(bob, ['first', ...ids('meanwhile', 10)]);
  await relay(home).start();
  // Both come back to it: the other has no client left.
  await expect.poll(() => metric(1 - home, 'mangrove_connections'), { timeout: 90_000, interval: 500 }).toBeLessThan(2);
  await ann.put(['last'], 1);
  await reads(bob, ['first', 'last', ...ids('meanwhile', 10)]);
  await rootsEqual([0, 1]);
});

function ids(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}
