import { randomBytes, randomUUID } from 'node:crypto';
import type { Delta, Hlc } from '@mangrove/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  hasNats,
  hasPostgres,
  type Server,
  startNats,
  startNatsCluster,
  startPostgres,
} from '../support/fleet/servers.js';
import { startBalancer, startProxy } from '../support/fleet/proxy.js';
import { NodeReplica } from '../support/node-replica.js';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, readRoomVersion, type SpawnedRelay, spawnRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

const ROUNDS = process.env.MANGROVE_TEST_LONG === '1' ? 30 : 3;
const nameOf = (): string => `t${randomUUID().replaceAll('-', '').slice(0, 20)}`;

/** A relay of a fleet, as it is shipped, that can be killed and started again over its disk. */
class Member {
  readonly #args: readonly string[];
  readonly #data: string;
  #relay: SpawnedRelay | undefined;
  #isAlive = false;

  constructor(data: string, args: readonly string[]) {
    this.#data = data;
    this.#args = args;
  }

  get url(): string {
    return (this.#relay as SpawnedRelay).url;
  }

  async start(): Promise<void> {
    this.#relay = await spawnRelay(this.#data, ...this.#args);
    this.#isAlive = true;
  }

  /** Undefined while it is dead. */
  get port(): number | undefined {
    return this.#isAlive ? Number(new URL(this.url).port) : undefined;
  }

  async kill(): Promise<void> {
    this.#isAlive = false;
    this.#relay?.child.kill('SIGKILL');
    await this.#relay?.exited;
  }
}

async function startFleet(urls: readonly string[], ...args: readonly string[]): Promise<readonly Member[]> {
  const name = nameOf();
  const members = await Promise.all(
    urls.map(
      async (url) =>
        new Member(await makeFolder(), ['--engine', url, '--engine-name', name, '--log-level', 'silent', ...args]),
    ),
  );
  await Promise.all(members.map((member) => member.start()));
  return members;
}

/** What all of them say of the room, when they say the same. */
async function agreed(members: readonly Member[], room = 'room') {
  const read = async () => await Promise.all(members.map(({ url }) => readRoomVersion(url, room)));
  await expect
    .poll(async () => new Set((await read()).map((each) => JSON.stringify(each))).size, { timeout: 30_000 })
    .toBe(1);
  return (await read())[0] as Awaited<ReturnType<typeof readRoomVersion>>;
}

/** A relay that has not found the engine again yet says to come later, and a client does. */
async function enter(url: string, replica: TestReplica, withinMs = 30_000): Promise<ProtocolClient> {
  for (const endMs = Date.now() + withinMs; ; ) {
    try {
      return await ProtocolClient.connect(url, replica);
    } catch (error) {
      if (Date.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

const engines: readonly (readonly [string, boolean, () => Promise<Server>])[] = [
  ['NATS', hasNats, () => startNats()],
  ['PostgreSQL', hasPostgres, () => startPostgres()],
];

describe.each(engines)('a fleet over %s', (_, isHere, startServer) => {
  test.skipIf(!isHere)(
    '[RF2, RF3] any relay serves any room: what is pushed to one is at all, and a cursor of one counts at all',
    async () => {
      const server = await startServer();
      const members = await startFleet([server.url, server.url, server.url]);
      const [a, b, c] = members as [Member, Member, Member];
      const clients = await Promise.all(members.map(({ url }) => ProtocolClient.connect(url, new TestReplica('room'))));
      const [one, two, three] = clients as [ProtocolClient, ProtocolClient, ProtocolClient];
      expect([two.welcome.storeId, two.welcome.relayKey]).toEqual([one.welcome.storeId, one.welcome.relayKey]);
      const deltas = clients.flatMap((client) => client.replica.drafts(20));
      await Promise.all(clients.map((client, i) => client.pushed(deltas.slice(20 * i, 20 * (i + 1)))));
      for (const client of [one, two, three])
        await client.has(deltas.filter(({ replica }) => replica !== client.replica.id));
      const { offset } = await agreed(members);
      expect(offset).toBe(60);

      // One of them moves: what it has missed comes, and nothing else.
      await one.position();
      const cursor = one.cursor();
      await one.close();
      const missed = two.replica.drafts(5);
      await two.pushed(missed);
      const moved = await ProtocolClient.open(b.url, one.replica);
      expect(await moved.hello({ cursor })).toMatchObject({ resumed: true, lastSeq: 20 });
      await moved.has(missed);
      await moved.next('caught-up');
      expect([...moved.deltasById.keys()].sort()).toEqual(missed.map(({ id }) => id).sort());
      const large = one.replica.draft({ body: new Uint8Array(3_000_000).map((__, i) => (i * 7919) >> 5) });
      await moved.pushed([large]);
      await three.has([large]);
      expect((await agreed(members)).offset).toBe(66);
      expect(a.url).not.toBe(c.url);
    },
  );

  test.skipIf(!isHere)(
    '[RF6] of two connections of one replica at two relays the one that was opened last writes',
    async () => {
      const server = await startServer();
      const members = await startFleet([server.url, server.url]);
      const [a, b] = members as [Member, Member];
      const replica = new TestReplica('room');
      const first = await ProtocolClient.connect(a.url, replica);
      await first.pushed(replica.drafts(3));
      const second = await ProtocolClient.open(b.url, replica);
      expect(await second.hello()).toMatchObject({ lastSeq: 3 });
      expect(await first.closed).toBe(4000);
      await second.pushed(replica.drafts(2));
      // And back again.
      const third = await ProtocolClient.open(a.url, replica);
      expect(await third.hello()).toMatchObject({ lastSeq: 5 });
      expect(await second.closed).toBe(4000);
      await third.pushed(replica.drafts(1));
      expect((await agreed(members)).offset).toBe(6);
    },
  );

  test.skipIf(!isHere)('[RF7] who is there over another relay is told, and so is what they show', async () => {
    const server = await startServer();
    const [a, b] = (await startFleet([server.url, server.url])) as [Member, Member];
    const one = await ProtocolClient.connect(a.url, new TestReplica('room'));
    const two = await ProtocolClient.connect(b.url, new TestReplica('room'));
    await one.next('peer', ({ replica, present }) => present && replica === two.replica.id);
    const keyId = two.replica.draft().keyId;
    two.send({ kind: 'presence', replica: two.replica.id, tab: 1, keyId, state: Uint8Array.of(1, 2, 3) });
    expect(await one.next('presence')).toMatchObject({ replica: two.replica.id, state: Uint8Array.of(1, 2, 3) });
    const late = await ProtocolClient.connect(b.url, new TestReplica('room'));
    await late.next('peer', ({ replica, present }) => present && replica === one.replica.id);
    await two.close();
    await one.next('peer', ({ replica, present }) => !present && replica === two.replica.id);
  });

  test.skipIf(!isHere)('[RF3] a forgery that is reported to one relay goes at all of them', async () => {
    const server = await startServer();
    const members = await startFleet([server.url, server.url]);
    const [a, b] = members as [Member, Member];
    const liar = await ProtocolClient.connect(a.url, new TestReplica('room'));
    const reader = await ProtocolClient.connect(b.url, new TestReplica('room'));
    const before = liar.replica.draft();
    await liar.pushed([before]);
    const forged = liar.replica.draft({ forged: true });
    await liar.pushed([forged]);
    await reader.has([forged]);
    const { trieKeyOf } = await import('@mangrove/protocol');
    reader.send({ kind: 'report', trieKey: trieKeyOf(forged) });
    await expect
      .poll(async () => (await agreed(members)).vector, { timeout: 20_000 })
      .toEqual({ [liar.replica.id]: 1 });
  });

  test.skipIf(!isHere)(
    `[RF3, RF4] ${ROUNDS} times relays and the server are killed in the middle of pushing: nothing acknowledged is lost, and all stand at the same place`,
    async () => {
      const server = await startServer();
      const members = await startFleet([server.url, server.url, server.url]);
      const writers = members.map(() => new TestReplica('room'));
      const acknowledged = new Map<string, Delta>();
      const unsent = new Map<TestReplica, Delta[]>(writers.map((writer) => [writer, []]));
      for (let round = 0; round < ROUNDS; round++) {
        const victim = members[round % members.length] as Member;
        let isOver = false;
        const writing = writers.map(async (replica, i) => {
          const waiting = unsent.get(replica) as Delta[];
          while (!isOver) {
            // Any relay serves: who loses one goes to the next.
            const member = members[(i + round) % members.length] as Member;
            const client = await ProtocolClient.connect(member.url, replica).catch(() => undefined);
            if (client === undefined) {
              await new Promise((resolve) => setTimeout(resolve, 100));
              continue;
            }
            client.push(waiting);
            while (!isOver && client.closeCode === undefined) {
              const delta = replica.draft();
              waiting.push(delta);
              client.push([delta]);
              await new Promise((resolve) => setTimeout(resolve, 4));
            }
            client.terminate();
            await client.closed;
            const seqs = new Set(client.messages.flatMap((message) => (message.kind === 'ack' ? message.seqs : [])));
            expect(client.messages.filter(({ kind }) => kind === 'refused')).toEqual([]);
            for (const delta of waiting) if (seqs.has(delta.seq)) acknowledged.set(delta.id, delta);
            unsent.set(
              replica,
              waiting.filter(({ seq }) => !seqs.has(seq)),
            );
            waiting.splice(0, waiting.length, ...waiting.filter(({ seq }) => !seqs.has(seq)));
            unsent.set(replica, waiting);
          }
        });
        await new Promise((resolve) => setTimeout(resolve, 800));
        await victim.kill();
        await new Promise((resolve) => setTimeout(resolve, 300));
        await server.kill();
        await new Promise((resolve) => setTimeout(resolve, 300));
        await server.start();
        await victim.start();
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        isOver = true;
        await Promise.all(writing);
      }
      const { offset, root } = await agreed(members);
      expect(acknowledged.size).toBeGreaterThan(ROUNDS * 50);
      const cursors: string[] = [];
      for (const { url } of members) {
        const reader = await enter(url, new TestReplica('room'));
        await reader.next('caught-up');
        expect([...acknowledged.values()].filter(({ id }) => !reader.deltasById.has(id))).toEqual([]);
        const position = await reader.position();
        cursors.push(
          `${position.offset} ${Buffer.from(position.roll).toString('hex')} ${Buffer.from(position.root).toString('hex')}`,
        );
      }
      expect(new Set(cursors)).toEqual(new Set([cursors[0]]));
      expect(cursors[0]).toContain(`${offset} `);
      expect(cursors[0]).toContain(root);
    },
    60_000 + ROUNDS * 20_000,
  );

  test.skipIf(!isHere)(
    '[RF4] a relay that is cut off from the engine acknowledges nothing, says that it is not ready, and catches up',
    async () => {
      const server = await startServer();
      const proxy = await startProxy(server.port);
      onTestFinished(() => proxy.close());
      const members = await startFleet([server.url.replace(`:${server.port}`, `:${proxy.port}`), server.url]);
      const [cut, whole] = members as [Member, Member];
      const [one, two] = [
        await ProtocolClient.connect(cut.url, new TestReplica('room')),
        await ProtocolClient.connect(whole.url, new TestReplica('room')),
      ];
      await one.pushed(one.replica.drafts(3));
      await two.has([...one.deltasById.values()]);
      proxy.cut();
      const waiting = one.replica.drafts(2);
      one.push(waiting);
      const written = two.replica.drafts(4);
      await two.pushed(written);
      expect(await one.closed).toBe(1013);
      const last = one.messages.findLast((message) => message.kind === 'ack');
      expect(last?.seqs).not.toContain(waiting[0]?.seq);
      expect((await fetch(`${cut.url}/readyz`)).status).toBe(503);
      expect((await fetch(`${cut.url}/healthz`)).status).toBe(200);
      expect((await readRoomVersion(cut.url, 'room')).offset).toBe(3);

      // Its client goes elsewhere, and is not displaced by what the cut-off relay may still say.
      const moved = await enter(whole.url, one.replica);
      await moved.pushed(waiting);
      proxy.mend();
      await expect.poll(async () => (await fetch(`${cut.url}/readyz`)).status, { timeout: 30_000 }).toBe(200);
      expect((await agreed(members)).offset).toBe(9);
      expect(moved.closeCode).toBeUndefined();
      const late = await enter(cut.url, new TestReplica('room'));
      await late.has([...waiting, ...written]);
    },
    120_000,
  );

  test.skipIf(!isHere)(
    '[RF5] a log that has outgrown its room is cut, and a relay without a disk takes the room from the engine',
    async () => {
      const server = await startServer();
      const name = nameOf();
      const args = ['--engine', server.url, '--engine-name', name, '--log-level', 'silent'];
      const member = new Member(await makeFolder(), args);
      await member.start();
      const writer = await enter(member.url, new TestReplica('room'));
      // Each covers the one before it, so that the room stays small and its log does not.
      const written: Delta[] = [];
      for (let i = 0; i < 12; i++) {
        const before = written.at(-1);
        const context = before && { stamps: new Map([[before.replica, before.hlc]]), dots: [] };
        const delta = writer.replica.draft({
          body: randomBytes(900_000),
          prev: before?.hlc ?? (0 as Hlc),
          ...(context === undefined ? {} : { context }),
        });
        written.push(delta);
        await writer.pushed([delta]);
      }
      const cuts = async () =>
        Number(/^mangrove_fleet_logs_cut_total (\d+)$/m.exec(await (await fetch(`${member.url}/metrics`)).text())?.[1]);
      await expect.poll(cuts, { timeout: 30_000 }).toBeGreaterThan(0);
      const late = new Member(await makeFolder(), args);
      await late.start();
      await agreed([member, late]);
      const reader = await enter(late.url, new TestReplica('room'));
      await reader.has(written.slice(-1));
      await agreed([member, late]);
    },
  );
});

/** Writes records over a balancer while relays and servers die, as pages would, and looks whether all of them read the same. */
async function outlive(members: readonly Member[], kill: (round: number) => Promise<void>): Promise<void> {
  const balancer = await startBalancer(() => members.flatMap((member) => member.port ?? []));
  onTestFinished(() => balancer.close());
  const url = `http://127.0.0.1:${balancer.port}`;
  const replicas = await Promise.all(members.map(() => NodeReplica.open(url, 'room')));
  onTestFinished(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
  });
  const ids: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const killing = kill(round);
    await Promise.all(
      replicas.map(async (replica, of) => {
        for (let i = 0; i < 10; i++) {
          const id = `${round}-${of}-${i}`;
          // Resolves when a relay has acknowledged it.
          await replica.put([id], i);
          ids.push(id);
        }
      }),
    );
    await killing;
  }
  const { root } = await agreed(members);
  for (const replica of replicas) {
    await expect.poll(async () => (await replica.read()).sort(), { timeout: 60_000 }).toEqual(ids.sort());
    await expect.poll(() => replica.status.sync, { timeout: 60_000 }).toBe('in-sync');
  }
  expect((await agreed(members)).root).toBe(root);
}

test.skipIf(!hasNats)(
  '[RF3, RF4] clients behind a balancer write while relays are killed: each write that is acknowledged is read by all',
  async () => {
    const server = await startNats();
    const members = await startFleet([server.url, server.url, server.url]);
    await outlive(members, async (round) => {
      const victim = members[round % members.length] as Member;
      await victim.kill();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await victim.start();
    });
  },
  120_000 + ROUNDS * 30_000,
);

test.skipIf(!hasNats)(
  '[RF1, RF3] over three servers of NATS that are killed one after the other, leaders too, all relays stay one',
  async () => {
    const { servers, url } = await startNatsCluster();
    const members = await startFleet([url, url, url], '--engine-replicas', '3', '--engine-accept-old-server');
    await outlive(members, async (round) => {
      const victim = servers[round % servers.length] as Server;
      await victim.kill();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      await victim.start();
    });
  },
  120_000 + ROUNDS * 60_000,
);
