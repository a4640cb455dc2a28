import {
  bytesToRelayMessage,
  type Delta,
  defaultLimits,
  deriveKeyId,
  EMPTY_CONTEXT,
  equalBytes,
  FrameJoiner,
  type Hlc,
  hlcFromMs,
  type Limits,
  makeContext,
  MangroveError,
  makeUnsignedDelta,
  type Message,
  LinkMemory,
  messageToBytes,
  messageToFrames,
  PROTOCOL_VERSION,
  type RelayMessage,
  type ReplicaId,
  deriveReplicaId,
  deriveRoomId,
  type Store,
  shortIdToBytes,
  signDelta,
} from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { Counters } from './counters.js';
import type { Link } from './link.js';
import type { Authentication, Connection, RelayPorts } from './ports.js';
import { RelayRoom } from './room.js';
import { Rooms } from './rooms.js';
import { nodeHash } from './runtimes/node-crypto.js';
import { type Environment, openMemory } from './storage/environment.js';

// A room over ports that a test holds in its hand: its clock stands still, its disk fails when told to, every signature counts.

const NOW_MS = 1_800_000_000_000;
const roomId = deriveRoomId(nodeHash, 'room', { history: 'current', encrypted: false });

test('[SG3] a connection whose token expires is let go, so that it comes back with a fresh one', async () => {
  const world = new World({ authentication: { rights: ['read', 'write'], expiresAtMs: NOW_MS + 1_000 } });
  const room = await world.open();
  const peer = new Peer(room);
  await peer.hello();
  world.nowMs += 999;
  room.sweep();
  expect(peer.closeCode).toBeUndefined();
  world.nowMs += 1;
  room.sweep();
  expect(peer.closeCode).toBe(1008);
  expect(room.linkCount).toBe(0);
});

test('[SY1] a connection that never says hello is let go', async () => {
  const world = new World();
  const room = await world.open();
  const peer = new Peer(room);
  world.nowMs += 30_001;
  room.sweep();
  expect(peer.closeCode).toBe(1008);
});

test('[SY6] pushes that come while a transaction is under way share the next one', async () => {
  const world = new World();
  const room = await world.open();
  const peers = Array.from({ length: 10 }, (_, i) => new Peer(room, i));
  for (const peer of peers) await peer.hello();
  const before = world.counters.get('commits');
  for (let round = 0; round < 5; round++) for (const peer of peers) peer.push(peer.draft());
  for (const peer of peers) await peer.acknowledged(5);
  expect(world.counters.get('commits') - before).toBeLessThanOrEqual(5);
  expect((await room.version())?.offset).toBe(50);
});

test('[SY6] what is acknowledged is behind a barrier: a power cut takes none of it', async () => {
  const world = new World();
  const room = await world.open();
  const peer = new Peer(room);
  await peer.hello();
  world.durabilities.clear();
  peer.push(peer.draft());
  await peer.acknowledged(1);
  expect([...world.durabilities]).toEqual(['strict']);
});

test('[SY6] an acknowledgement comes after everything that its position counts', async () => {
  const world = new World();
  const room = await world.open();
  const peers = [new Peer(room, 1), new Peer(room, 2)] as const;
  for (const peer of peers) await peer.hello();
  for (const peer of peers) peer.push(peer.draft());
  for (const [i, peer] of peers.entries()) {
    await peer.acknowledged(1);
    const acked = peer.messages.findIndex(({ kind }) => kind === 'ack');
    const before = peer.messages.slice(0, acked);
    const told = before.flatMap((message) => (message.kind === 'deltas' ? message.deltas : []));
    expect(told, `what peer ${1 - i} pushed in the same commit`).toHaveLength(1);
  }
});

test('[SY8] a replay is acknowledged by a relay whose clock was set back since, what is new from too far ahead is refused', async () => {
  const world = new World();
  const room = await world.open();
  const peer = new Peer(room);
  await peer.hello();
  const taken = peer.draft();
  peer.push(taken);
  await peer.acknowledged(1);
  world.nowMs -= defaultLimits.clockAheadMsMax + 1_000;
  peer.messages.length = 0;
  peer.push(taken);
  peer.push(peer.draft());
  const aheadMs = defaultLimits.clockAheadMsMax + 1_000;
  await expect
    .poll(() => peer.messages.filter(({ kind }) => kind === 'refused'))
    .toMatchObject([
      { seq: 2, code: 'CLOCK_AHEAD', facts: { aheadMs, clockAheadMsMax: defaultLimits.clockAheadMsMax } },
    ]);
  await peer.acknowledged(1);
  expect((await room.version())?.offset).toBe(1);
});

test('[SY24] the connection of a replica that was opened last takes the place of any other', async () => {
  const world = new World();
  const room = await world.open();
  const [former, latter] = [new Peer(room), new Peer(room)];
  await former.hello();
  const first = former.draft();
  former.push(first);
  await former.acknowledged(1);
  await latter.hello();
  expect(latter.admitted).toMatchObject({ lastSeq: 1, lastId: shortIdToBytes(first.id) });
  await expect.poll(() => former.closeCode).toBe(4000);
  expect(former.messages.at(-1)).toMatchObject({ kind: 'fault', code: 'DOT_REUSED' });
  expect(room.linkCount).toBe(1);
  expect(world.counters.get('connections_displaced')).toBe(1);
  latter.draft();
  latter.push(latter.draft());
  await latter.acknowledged(2);
});

test('[SY24] what an earlier connection has pushed is not taken after a later one was admitted', async () => {
  const world = new World();
  const room = await world.open();
  const [former, latter, bob] = [new Peer(room), new Peer(room), new Peer(room, 1)];
  await former.hello();
  await bob.hello();
  // Its push waits for the transaction that is under way, and so does the admission that is asked for meanwhile.
  bob.push(bob.draft());
  const admitted = latter.hello();
  former.push(former.draft());
  former.link.closed();
  await admitted;
  await bob.acknowledged(1);
  const { lastSeq } = latter.admitted;
  await room.close();
  expect((await room.version())?.vector.get(former.replica) ?? 0, 'as the newcomer was told').toBe(lastSeq);
});

test('[SY24] a connection that was opened earlier and says hello later is the one that has to go', async () => {
  const world = new World();
  const room = await world.open();
  const [former, latter] = [new Peer(room), new Peer(room)];
  await latter.hello();
  former.greet();
  await expect.poll(() => former.closeCode).toBe(4000);
  expect(latter.closeCode).toBeUndefined();
  latter.push(latter.draft());
  await latter.acknowledged(1);
});

test('[SY6] nothing is acknowledged or forwarded when the disk is full, and the room lives on', async () => {
  const world = new World();
  const room = await world.open();
  const [alice, bob] = [new Peer(room, 1), new Peer(room, 2)];
  await alice.hello();
  await bob.hello();
  world.failure = new MangroveError('STORAGE_FULL');
  alice.push(alice.draft());
  await expect.poll(() => alice.closeCode).toBe(1013);
  expect(bob.deltas).toEqual([]);
  expect(bob.closeCode).toBeUndefined();
  world.failure = undefined;
  bob.push(bob.draft());
  await bob.acknowledged(1);
  expect((await room.version())?.offset).toBe(1);
});

test('a bug that one push hits closes its connection, not those whose pushes share its transaction', async () => {
  const world = new World();
  const room = await world.open();
  const peers = [1, 2, 3].map((seed) => new Peer(room, seed));
  for (const peer of peers) await peer.hello();
  const [alice, mallory, bob] = peers as [Peer, Peer, Peer];
  const poison = mallory.draft();
  world.poison = poison;
  for (const [peer, delta] of [
    [alice, alice.draft()],
    [mallory, poison],
    [bob, bob.draft()],
  ] as const) {
    peer.push(delta);
  }
  await alice.acknowledged(1);
  await bob.acknowledged(1);
  expect([alice.closeCode, mallory.closeCode, bob.closeCode]).toEqual([undefined, 1011, undefined]);
  expect(world.faults).toHaveLength(1);
  expect((await room.version())?.offset).toBe(2);
});

test('superseded bytes are kept for a while and then pruned', async () => {
  const world = new World();
  const room = await world.open();
  const peer = new Peer(room);
  await peer.hello();
  const first = peer.draft();
  peer.push(first);
  peer.push(peer.draft({ context: makeContext(new Map([[peer.replica, first.hlc]]), []) }));
  await peer.acknowledged(2);
  expect(await world.retained()).toBe(1);
  world.nowMs += defaultLimits.retainSupersededMs - 1;
  peer.push(peer.draft());
  await peer.acknowledged(3);
  expect(await world.retained()).toBe(1);
  world.nowMs += 60_001;
  peer.push(peer.draft());
  await peer.acknowledged(4);
  expect(await world.retained()).toBe(0);
});

test('[CX8] a room that nobody uses any more is cleaned too: of superseded bytes, and of what its log says of them', async () => {
  const world = new World();
  const rooms = new Rooms(world.ports);
  const peer = new Peer(await rooms.open('room'));
  await peer.hello();
  const first = peer.draft();
  peer.push(first);
  peer.push(peer.draft({ context: makeContext(new Map([[peer.replica, first.hlc]]), []) }));
  await peer.acknowledged(2);
  peer.link.closed();
  world.nowMs += defaultLimits.retainSupersededMs - 1_000;
  await rooms.sweep();
  expect([rooms.size, await world.retained(), await world.logged()]).toEqual([0, 1, 2]);
  world.nowMs += 3_600_000;
  await rooms.sweep();
  expect([await world.retained(), await world.logged()]).toEqual([0, 1]);
  expect((await rooms.version('room'))?.offset).toBe(2);
  await rooms.close();
});

test('idle rooms are let go and come back as they were; names that nobody was admitted to leave nothing', async () => {
  const world = new World();
  const rooms = new Rooms(world.ports);
  const peer = new Peer(await rooms.open('room'));
  await peer.hello();
  peer.push(peer.draft());
  await peer.acknowledged(1);
  expect(await rooms.version('made up')).toBeUndefined();
  await rooms.open('made up too');
  expect(rooms.size).toBe(2);
  world.nowMs += 5_000;
  await rooms.sweep();
  expect(rooms.size).toBe(1);
  peer.link.closed();
  world.nowMs += 60_000;
  await rooms.sweep();
  expect(rooms.size).toBe(0);
  expect(world.environment.rooms()).toEqual([roomId]);
  expect((await rooms.version('room'))?.offset).toBe(1);
  const again = new Peer(await rooms.open('room'), 9);
  await again.hello();
  await expect.poll(() => again.deltas.length).toBe(1);
});

class World {
  nowMs = NOW_MS;
  failure: MangroveError | undefined;
  poison: Delta | undefined;
  readonly faults: unknown[] = [];
  /** What was asked of the disk, from its last clearing on. */
  readonly durabilities = new Set<string>();
  readonly counters = new Counters();
  readonly environment: Environment;
  readonly ports: RelayPorts;

  constructor({ authentication, limits }: { authentication?: Authentication; limits?: Partial<Limits> } = {}) {
    const memory = openMemory();
    this.environment = { ...memory, room: (id) => this.#failing(memory.room(id)) };
    this.ports = {
      environment: this.environment,
      identity: {
        relayKey: new Uint8Array(32).fill(9),
        storeId: new Uint8Array(8),
        sign: async () => new Uint8Array(64).fill(1),
      },
      hash: nodeHash,
      verifier: { verify: async () => true },
      clock: { nowMs: () => this.nowMs },
      random: { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) },
      limits: { ...defaultLimits, ...limits },
      authenticate: authentication && (async () => authentication),
      counters: this.counters,
      report: (error) => this.faults.push(error),
    };
  }

  open(): Promise<RelayRoom> {
    return RelayRoom.open('room', this.ports);
  }

  async retained(): Promise<number> {
    const store = this.environment.room(roomId);
    return (await store.transact((tx) => tx.keys('retained', { from: new Uint8Array() }), { mode: 'read' })).length;
  }

  async logged(): Promise<number> {
    const store = this.environment.room(roomId);
    return (await store.transact((tx) => tx.keys('log', { from: new Uint8Array() }), { mode: 'read' })).length;
  }

  #failing(store: Store): Store {
    return {
      close: () => store.close(),
      transact: (plan, options) => {
        if (options.mode === 'read') return store.transact(plan, options);
        if (this.failure !== undefined) return Promise.reject(this.failure);
        this.durabilities.add(options.durability ?? 'strict');
        return store.transact((tx) => {
          const put = tx.put.bind(tx);
          tx.put = (table, key, value) => {
            if (table === 'deltas' && this.poison && equalBytes(value, this.poison.bytes)) throw new Error('a bug');
            put(table, key, value);
          };
          return plan(tx);
        }, options);
      },
    };
  }
}

class Peer implements Connection {
  readonly origin = undefined;
  readonly messages: RelayMessage[] = [];
  readonly link: Link;
  readonly replica: ReplicaId;
  closeCode: number | undefined;
  readonly #publicKey: Uint8Array;
  readonly #joiner = new FrameJoiner(defaultLimits);
  readonly #heard = new LinkMemory();
  readonly #told = new LinkMemory();
  #seq = 0;

  constructor(room: RelayRoom, seed = 0) {
    // Any y below the field's prime that is of no small order passes for a key where every signature counts.
    this.#publicKey = new Uint8Array(32).fill(17 + seed);
    this.replica = deriveReplicaId(nodeHash, roomId, this.#publicKey);
    this.link = room.connect(this);
  }

  send(frame: Uint8Array): void {
    const bytes = this.#joiner.add(frame);
    if (bytes !== undefined) this.messages.push(bytesToRelayMessage(bytes, this.#heard));
  }

  close(code: number): void {
    this.closeCode = code;
  }

  bufferedBytes = (): number => 0;
  drained = async (): Promise<void> => {};

  get deltas(): readonly Uint8Array[] {
    return this.messages.flatMap((message) => (message.kind === 'deltas' ? message.deltas : []));
  }

  say(message: Message): void {
    for (const frame of messageToFrames(messageToBytes(message, this.#told), defaultLimits)) this.link.receive(frame);
  }

  get admitted(): RelayMessage & { kind: 'admitted' } {
    const admitted = this.messages.find((message) => message.kind === 'admitted');
    if (admitted === undefined) throw new Error('not admitted yet');
    return admitted;
  }

  async hello(): Promise<void> {
    this.greet();
    await expect.poll(() => this.messages.some(({ kind }) => kind === 'caught-up')).toBe(true);
  }

  greet(): void {
    this.say({
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId,
      config: 0,
      publicKey: this.#publicKey,
      token: undefined,
      cursor: undefined,
      window: defaultLimits.windowBytes,
      proof: new Uint8Array(64).fill(1),
    });
  }

  draft(header: { context?: Delta['context'] } = {}): Delta {
    const seq = ++this.#seq;
    const hlc = (hlcFromMs(NOW_MS) + seq) as Hlc;
    const unsigned = makeUnsignedDelta(
      nodeHash,
      roomId,
      {
        replica: this.replica,
        seq,
        keyId: deriveKeyId(nodeHash, roomId, { kind: 'document', collection: '', id: 'notes' }),
        hlc,
        writtenAt: hlc,
        prev: 0 as Hlc,
        context: EMPTY_CONTEXT,
        flags: 0,
        nonces: [],
        ...header,
      },
      Uint8Array.of(1, 2, 3),
    );
    return signDelta(unsigned, new Uint8Array(64).fill(1));
  }

  push(delta: Delta): void {
    this.say({ kind: 'push', repair: false, deltas: [delta.bytes] });
  }

  async acknowledged(seq: number): Promise<void> {
    const isIn = () => this.messages.some((message) => message.kind === 'ack' && message.seqs.includes(seq));
    await expect.poll(isIn).toBe(true);
  }
}
