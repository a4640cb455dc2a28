import type { HeadStatement, Presence, RelayMessage, ReplicaId } from '@mangrove/protocol';
import { afterEach, expect, test } from 'vitest';
import { LinkedRooms } from '../../../../test/support/linked-rooms.js';
import { NOW_MS, RoomPeer } from '../../../../test/support/relay-room.js';
import { isPeer } from '../present.js';
import type { RelayRoom } from '../room.js';
import { nodeHash } from '../runtimes/node-crypto.js';
import { federationOf } from './federation.js';

let linked: LinkedRooms | undefined;

afterEach(async () => {
  await linked?.close();
  linked = undefined;
});

/** Rooms that dial as told, with one client each that has said hello. */
async function open(links: readonly (readonly number[])[], limits = {}) {
  linked = await LinkedRooms.open(links, limits);
  const clients: RoomPeer[] = [];
  for (const [i, room] of linked.rooms.entries()) {
    const client = new RoomPeer(room, i);
    await client.hello();
    clients.push(client);
  }
  return { linked, clients, of: (index: number) => clients[index] as RoomPeer };
}

const told = <Kind extends RelayMessage['kind']>(client: RoomPeer, kind: Kind) =>
  client.messages.filter((message): message is Extract<RelayMessage, { kind: Kind }> => message.kind === kind);
const presents = (client: RoomPeer): readonly string[] =>
  told(client, 'peer').map(({ replica, present }) => `${replica} ${present ? 'came' : 'left'}`);
const root = async ({ rooms }: LinkedRooms, index: number) => String((await rooms[index]?.version())?.root);
const peersOf = ({ links }: RelayRoom): number => [...links].filter(isPeer).length;
const presenceOf = (client: RoomPeer, ...state: readonly number[]): Presence => ({
  kind: 'presence',
  replica: client.replica,
  tab: 1,
  keyId: client.draft().keyId,
  state: Uint8Array.from(state),
});

test.each([
  ['the first dials', [[1], []]],
  ['the second dials', [[], [0]]],
  ['both dial', [[1], [0]]],
])(
  '[FD4] what one relay has taken the clients of the other are told, as if it had come to theirs: %s',
  async (_, links) => {
    const { of, linked } = await open(links);
    const [a, b] = [of(0).draft(), of(1).draft()];
    of(0).push(a);
    of(1).push(b);
    await expect.poll(() => [of(0).deltas, of(1).deltas]).toEqual([[b.bytes], [a.bytes]]);
    await expect.poll(async () => (await root(linked, 0)) === (await root(linked, 1))).toBe(true);
    const vectors = async () =>
      Promise.all(linked.rooms.map(async (room) => [...((await room.version())?.vector ?? [])]));
    expect(new Set((await vectors()).map((vector) => String(vector.toSorted()))).size).toBe(1);
  },
);

test('[FD4] around a ring everything comes once to each client, and then there is silence', async () => {
  const { of, linked } = await open([[1], [2], [0]]);
  const drafts = [0, 1, 2].map((i) => of(i).draft());
  for (const [i, draft] of drafts.entries()) of(i).push(draft);
  const others = (i: number) =>
    drafts
      .filter((_, j) => j !== i)
      .map(({ bytes }) => String(bytes))
      .toSorted();
  await expect.poll(() => [0, 1, 2].map((i) => of(i).deltas.map(String).toSorted())).toEqual([0, 1, 2].map(others));
  const known = () => linked.worlds.map(({ counters }) => counters.get('deltas_known'));
  // Each comes to each relay over the two ways that there are; where one comes while a bridge still asks what there is, once more.
  const isStill = async (): Promise<boolean> => {
    const before = String(known());
    await new Promise((resolve) => setTimeout(resolve, 300));
    return before === String(known());
  };
  await expect.poll(() => Math.min(...known())).toBeGreaterThanOrEqual(2);
  await expect.poll(isStill).toBe(true);
  expect(Math.max(...known())).toBeLessThanOrEqual(6);
});

test('[FD5] nobody is told of a relay, and it gets no certificate of its own', async () => {
  const { of, linked } = await open([[1], []]);
  of(0).push(of(0).draft());
  await expect.poll(() => of(1).deltas.length).toBe(1);
  const replicas = new Set([0, 1].map((i) => of(i).replica));
  expect([...presents(of(0)), ...presents(of(1))].every((each) => replicas.has(each.split(' ')[0] as ReplicaId))).toBe(
    true,
  );
  // Of the one who has written both relays, of the other hers.
  expect(await Promise.all(linked.worlds.map((world) => world.count('certificates')))).toEqual([1, 2]);
});

test('[FD7] who is at one relay is known at the other, and seen there, until they go; across one link and no further', async () => {
  const { of } = await open([[1], [2], []]);
  await expect.poll(() => presents(of(0))).toContain(`${of(1).replica} came`);
  await expect
    .poll(() => presents(of(1)).toSorted())
    .toEqual([`${of(0).replica} came`, `${of(2).replica} came`].toSorted());
  const said = presenceOf(of(0), 1, 2);
  of(0).say(said);
  await expect.poll(() => told(of(1), 'presence')).toEqual([said]);
  const answer = presenceOf(of(1), 3);
  of(1).say(answer);
  await expect.poll(() => [told(of(0), 'presence'), told(of(2), 'presence')]).toEqual([[answer], [answer]]);
  of(1).link.closed();
  await expect.poll(() => presents(of(0))).toContain(`${of(1).replica} left`);
  expect(presents(of(2))).not.toContain(`${of(0).replica} came`);
});

test('[FD7] with the link those go who were there over it', async () => {
  const { of, linked } = await open([[1], []]);
  await expect.poll(() => presents(of(0))).toEqual([`${of(1).replica} came`]);
  await expect.poll(() => presents(of(1))).toEqual([`${of(0).replica} came`]);
  linked.cut();
  await expect.poll(() => presents(of(0)).at(-1)).toBe(`${of(1).replica} left`);
  await expect.poll(() => presents(of(1)).at(-1)).toBe(`${of(0).replica} left`);
});

test('[FD6] head statements go as far as there are relays, the newest of each and each once', async () => {
  const { of } = await open([[1], [2], [0]]);
  const { replica } = of(0);
  const claim = { replica, root: new Uint8Array(32), headsRoot: new Uint8Array(32), vector: new Map() };
  const statement: HeadStatement = { ...claim, timeMs: NOW_MS, signature: new Uint8Array(64).fill(1) };
  of(0).say({ kind: 'head', statement });
  await expect.poll(() => told(of(1), 'heads').flatMap(({ statements }) => statements)).toEqual([statement]);
  await expect.poll(() => told(of(2), 'heads').flatMap(({ statements }) => statements)).toEqual([statement]);
});

test('[FD9] of two links between two relays one is left, and it comes back when it is needed', async () => {
  const { of, linked } = await open([[1], [0]]);
  of(0).push(of(0).draft());
  await expect.poll(() => of(1).deltas.length).toBe(1);
  const links = () => linked.rooms.map(peersOf);
  // At home the bridge of the lower key, at the other its connection.
  await expect.poll(links).toEqual([1, 1]);
});

test('[FD9] a room that only relays use comes to rest, and news wake it for a minute', async () => {
  const { of, linked } = await open([[1], [0]]);
  of(0).push(of(0).draft());
  await expect.poll(() => of(1).deltas.length).toBe(1);
  for (const i of [0, 1]) of(i).link.closed();
  linked.pass(30_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(linked.rooms.some((room) => room.linkCount > 0)).toBe(true);
  linked.pass(31_000);
  await expect.poll(() => linked.rooms.map(({ linkCount }) => linkCount)).toEqual([0, 0]);
  linked.pass(600_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(linked.rooms.map(({ linkCount }) => linkCount)).toEqual([0, 0]);
});

test('[FD9] a peer that is not there is dialled again, not all the time, and harms nobody', async () => {
  const { of, linked } = await open([[1], []]);
  linked.cut();
  of(0).push(of(0).draft());
  await of(0).acknowledged(2 - 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const [, tries = 0] = linked.dials;
  expect(tries).toBeLessThan(5);
  linked.isCut = false;
  linked.pass(40_000);
  await expect.poll(() => of(1).deltas.length, { timeout: 10_000 }).toBe(1);
});

test('[SY17] for a peer that reads nothing nothing is kept: it is let go, and has everything when it reads again', async () => {
  const { of, linked } = await open([[1], []]);
  of(0).push(of(0).draft());
  await expect.poll(() => of(1).deltas.length).toBe(1);
  linked.bufferedBytes = 17 * 1024 * 1024;
  of(0).push(of(0).draft());
  await expect.poll(() => peersOf(linked.room(1))).toBe(0);
  linked.bufferedBytes = 0;
  linked.pass(40_000);
  await expect.poll(() => of(1).deltas.length, { timeout: 10_000 }).toBe(2);
});

test('[FD5] a secret is to be there, and long enough, and peers are URLs', () => {
  const make = (options: Parameters<typeof federationOf>[0]) => () =>
    federationOf(options, nodeHash, () => ({}) as never, 'own');
  expect(make({})()).toBeUndefined();
  const wrong = [{ peers: ['wss://b.test'] }, { peerToken: 'short' }, { peers: ['b.test'], peerToken: 'x'.repeat(16) }];
  for (const options of wrong) expect(make(options)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  const federation = make({ peers: ['https://b.test/base/'], peerToken: 'x'.repeat(16) })();
  expect(federation?.peers).toEqual([{ url: 'wss://b.test/base', token: 'x'.repeat(16) }]);
  expect(['x'.repeat(16), 'own', 'other', undefined].map((token) => federation?.isPeer(token))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
