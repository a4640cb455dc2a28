import { bytesToHex, type Delta, TABLES, trieKeyOf } from '@mangrove/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { RoomPeer, RoomWorld, roomId } from '../../../../test/support/relay-room.js';
import { RelayRoom } from '../room.js';
import { Fleet } from './fleet.js';
import { MemoryEngine, type MemoryFaults, MemoryLogs } from './memory-engine.js';

const ROUNDS = process.env.MANGROVE_TEST_LONG === '1' ? 40 : 4;

/** Mulberry32: a test that fails says its seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One relay of a fleet, over a disk and a way to the engine that a test holds in its hand. */
class Member {
  readonly world: RoomWorld;
  readonly engine: MemoryEngine;
  #fleet: Fleet | undefined;
  room!: RelayRoom;

  constructor(logs: MemoryLogs, faults: MemoryFaults = {}, world = new RoomWorld(), entryBytesMax = 4_000) {
    this.world = world;
    this.engine = new MemoryEngine(logs, faults, entryBytesMax);
  }

  async open(cutBytes: number): Promise<void> {
    const { ports, environment } = this.world;
    this.#fleet = await Fleet.join(
      this.engine,
      { ...ports, environment, makeIdentity: () => crypto.getRandomValues(new Uint8Array(40)) },
      { cutBytes },
    );
    this.room = await RelayRoom.open('room', ports, this.#fleet);
  }

  async close(): Promise<void> {
    await this.room.close();
    await this.#fleet?.close();
  }

  /** All rows that relays of a fleet have in common. */
  async rows(): Promise<readonly string[]> {
    const store = this.world.environment.room(roomId);
    return await store.transact(
      function* (tx) {
        const all: string[] = [];
        for (const table of TABLES) {
          if (table === 'incoming') continue;
          for (const [key, value] of yield* tx.rows(table, { from: new Uint8Array() }))
            all.push(`${table} ${bytesToHex(key)} ${bytesToHex(value)}`);
        }
        return all;
      },
      { mode: 'read' },
    );
  }
}

async function openFleet(
  count: number,
  { faults = {}, cutBytes = 1e9 }: { faults?: MemoryFaults; cutBytes?: number } = {},
) {
  const logs = new MemoryLogs();
  const members = Array.from({ length: count }, () => new Member(logs, faults));
  for (const member of members) await member.open(cutBytes);
  onTestFinished(async () => {
    await Promise.all(members.map((member) => member.close()));
  });
  return { logs, members };
}

async function agree(members: readonly Member[]): Promise<readonly string[]> {
  // Who serves the room to nobody does not follow it before it is asked for.
  for (const { room } of members) await room.version();
  await expect
    .poll(
      async () =>
        new Set((await Promise.all(members.map((member) => member.rows()))).map((rows) => rows.join('\n'))).size,
      { timeout: 20_000 },
    )
    .toBe(1);
  return await (members[0] as Member).rows();
}

const deltasOf = (rows: readonly string[]): Set<string> =>
  new Set(rows.filter((row) => row.startsWith('deltas ')).map((row) => row.split(' ')[1] as string));

test('[RF3] what one relay takes is at all of them, byte for byte, and who is connected elsewhere is told', async () => {
  const { members } = await openFleet(3);
  const peers = members.map(({ room }, i) => new RoomPeer(room, i));
  for (const peer of peers) await peer.hello();
  const [one, two, three] = peers as [RoomPeer, RoomPeer, RoomPeer];
  const delta = one.draft();
  one.push(delta);
  await one.acknowledged(1);
  await expect.poll(() => [two.deltas.length, three.deltas.length, one.deltas.length]).toEqual([1, 1, 0]);
  const rows = await agree(members);
  expect(deltasOf(rows)).toEqual(new Set([bytesToHex(trieKeyOf(delta))]));
  expect(rows.filter((row) => row.startsWith('certificates '))).toHaveLength(3);
  expect(members.flatMap(({ world }) => world.faults)).toEqual([]);
});

test('[RF6] who enters elsewhere takes the place of the connection here, and what that one still pushes is not taken', async () => {
  const { members } = await openFleet(2);
  const [a, b] = members as [Member, Member];
  const first = new RoomPeer(a.room, 1);
  await first.hello();
  first.push(first.draft());
  await first.acknowledged(1);
  const second = new RoomPeer(b.room, 1);
  // What is on its way to the log when the other one enters comes after that.
  a.engine.isConnected = false;
  const late = first.draft();
  first.push(late);
  await second.hello();
  expect(second.admitted).toMatchObject({ lastSeq: 1 });
  a.engine.isConnected = true;
  await expect.poll(() => first.closeCode).toBe(4000);
  expect(deltasOf(await agree(members))).not.toContain(bytesToHex(trieKeyOf(late)));
  expect(first.messages.flatMap((message) => (message.kind === 'ack' ? message.seqs : []))).toEqual([1]);
});

test('[RF6] a cut-off relay that wanted to let a connection in displaces nobody when it is back', async () => {
  const { members } = await openFleet(2);
  const [a, b] = members as [Member, Member];
  const opener = new RoomPeer(a.room, 7);
  await opener.hello();
  await agree(members);
  a.engine.isConnected = false;
  const stranded = new RoomPeer(a.room, 1);
  stranded.greet();
  const moved = new RoomPeer(b.room, 1);
  await moved.hello();
  a.engine.isConnected = true;
  await expect.poll(() => stranded.closeCode).toBe(1013);
  moved.push(moved.draft());
  await moved.acknowledged(1);
  expect(moved.closeCode).toBeUndefined();
});

test('[RF3] an entry that comes twice, as the engine has forgotten its id, is applied once', async () => {
  let isOn = false;
  const faults: MemoryFaults = { losesAnswer: () => isOn, forgetsId: () => isOn };
  const { members, logs } = await openFleet(2, { faults });
  const [a] = members as [Member];
  const peer = new RoomPeer(a.room, 1);
  await peer.hello();
  isOn = true;
  for (let i = 1; i <= 5; i++) {
    peer.push(peer.draft());
    await peer.acknowledged(i);
  }
  isOn = false;
  const rows = await agree(members);
  expect(rows.filter((row) => row.startsWith('log '))).toHaveLength(5);
  const pushes = [...logs.logs].find(([name]) => name.startsWith('room.'))?.[1].entries.length ?? 0;
  expect(pushes).toBeGreaterThan(10);
});

test('[RF5] a log is cut, and who was away or is new takes the state of the cut', async () => {
  const { members, logs } = await openFleet(3, { cutBytes: 3_000 });
  const [a, b, c] = members as [Member, Member, Member];
  const peer = new RoomPeer(a.room, 1);
  await peer.hello();
  const watcher = new RoomPeer(b.room, 2);
  await watcher.hello();
  await agree(members);
  c.engine.isConnected = false;
  for (let i = 1; i <= 60; i++) {
    peer.push(peer.draft({}, new Uint8Array(200).fill(i)));
    await peer.acknowledged(i);
  }
  const log = [...logs.logs].find(([name]) => name.startsWith('room.'))?.[1];
  await expect.poll(() => a.world.counters.get('fleet_logs_cut')).toBeGreaterThan(0);
  await expect.poll(() => log?.entries.length).toBeLessThan(60);
  c.engine.isConnected = true;
  await agree(members);
  expect(c.world.counters.get('fleet_rooms_taken')).toBe(1);
  expect([a, b].map(({ world }) => world.counters.get('fleet_rooms_taken'))).toEqual([0, 0]);
  const late = new Member(logs);
  await late.open(3_000);
  onTestFinished(() => late.close());
  await agree([...members, late]);
  expect(members.flatMap(({ world }) => world.faults)).toEqual([]);
});

test('[RF8] a relay whose disk has lost something takes the room anew', async () => {
  const { members } = await openFleet(2);
  const [a, b] = members as [Member, Member];
  const peer = new RoomPeer(a.room, 1);
  await peer.hello();
  const delta = peer.draft();
  peer.push(delta);
  await peer.acknowledged(1);
  await agree(members);
  await b.world.environment.room(roomId).transact(
    function* (tx) {
      tx.delete('deltas', trieKeyOf(delta));
    },
    { mode: 'write' },
  );
  await b.room.scrub();
  await agree(members);
  expect(deltasOf(await b.rows()).size).toBe(1);
  expect(b.world.counters.get('fleet_rooms_taken')).toBe(1);
});

test('[RF9] a disk of another fleet, or of a relay alone, is refused', async () => {
  const { members } = await openFleet(1);
  const [a] = members as [Member];
  const stranger = new Member(new MemoryLogs(), {}, a.world);
  await new RoomPeer(a.room, 1).hello();
  await expect(stranger.open(1e9)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  const alone = new RoomWorld();
  await new RoomPeer(await alone.open()).hello();
  await expect(new Member(new MemoryLogs(), {}, alone).open(1e9)).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
  });
});

test.each(Array.from({ length: ROUNDS }, (_, seed) => seed))(
  '[RF3, RF4] an engine that delays, loses answers and forgets ids, relays that are cut off: what is acknowledged is at all, in one order (seed %i)',
  async (seed) => {
    const random = randomOf(seed);
    let isHonest = false;
    const sometimes = (share: number): boolean => !isHonest && random() < share;
    const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, isHonest ? 0 : random() * 8));
    const faults: MemoryFaults = {
      beforeAppend: wait,
      beforeTelling: wait,
      losesAnswer: () => sometimes(0.3),
      forgetsId: () => sometimes(0.5),
    };
    const { members } = await openFleet(3, { faults, cutBytes: 4_000 });
    const acknowledged = new Set<string>();
    const drafts = new Map<number, Delta[]>();
    let at = 0;
    const visit = async (writer: number, unsent: Delta[], seqs: Set<number>): Promise<void> => {
      const member = members[Math.floor(random() * members.length)] as Member;
      const peer = new RoomPeer(member.room, writer);
      peer.greet();
      for (
        let i = 0;
        i < 200 && peer.closeCode === undefined && !peer.messages.some(({ kind }) => kind === 'caught-up');
        i++
      )
        await new Promise((resolve) => setTimeout(resolve, 5));
      for (let i = 0; i < 6 && peer.closeCode === undefined; i++) {
        if (i === 0) for (const delta of unsent) peer.push(delta);
        const delta = drafter(writer).draft(
          {},
          new Uint8Array(20 + Math.floor(random() * 9_000 * (random() < 0.05 ? 1 : 0.01))).fill(++at % 251),
        );
        unsent.push(delta);
        peer.push(delta);
        await wait();
      }
      await new Promise((resolve) => setTimeout(resolve, 30));
      peer.link.closed();
      for (const message of peer.messages) if (message.kind === 'ack') for (const seq of message.seqs) seqs.add(seq);
      for (const delta of unsent) if (seqs.has(delta.seq)) acknowledged.add(bytesToHex(trieKeyOf(delta)));
      unsent.splice(0, unsent.length, ...unsent.filter(({ seq }) => !seqs.has(seq)));
    };
    const drafters = new Map<number, RoomPeer>();
    const drafter = (writer: number): RoomPeer => {
      const known = drafters.get(writer) ?? new RoomPeer((members[0] as Member).room, writer);
      drafters.set(writer, known);
      return known;
    };
    await Promise.all(
      [1, 2, 3].map(async (writer) => {
        const [unsent, seqs] = [drafts.get(writer) ?? [], new Set<number>()];
        for (let round = 0; round < 6; round++) {
          await visit(writer, unsent, seqs);
          const victim = members[Math.floor(random() * members.length)] as Member;
          if (!sometimes(0.3)) continue;
          victim.engine.isConnected = false;
          await new Promise((resolve) => setTimeout(resolve, 20));
          victim.engine.isConnected = true;
        }
      }),
    );
    isHonest = true;
    for (const { engine } of members) engine.isConnected = true;
    const rows = await agree(members);
    expect(acknowledged.size, `seed ${seed}`).toBeGreaterThan(10);
    const held = deltasOf(rows);
    expect(
      [...acknowledged].filter((key) => !held.has(key)),
      `seed ${seed}`,
    ).toEqual([]);
    const offsets = rows.filter((row) => row.startsWith('log '));
    expect(offsets, `seed ${seed}`).toHaveLength(held.size);
    expect(members.flatMap(({ world }) => world.faults)).toEqual([]);
    expect(members.map(({ world }) => world.counters.get('fleet_rooms_strayed'))).toEqual([0, 0, 0]);
  },
);
