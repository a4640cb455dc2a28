import { createPrivateKey, createPublicKey, sign, verify as verifySignature } from 'node:crypto';
import {
  bytesToRelayMessage,
  bytesToReplicaMessage,
  defaultLimits,
  deriveReplicaId,
  deriveRoomId,
  errorFromFacts,
  errorToFacts,
  FrameJoiner,
  type Limits,
  MangroveError,
  MemoryStore,
  type Message,
  type LinkMemory,
  messageToBytes,
  messageToFrames,
  type Plan,
  type ReplicaId,
  type RelayMessage,
  type ReplicaMessage,
  type RoomId,
  type RoomRef,
  type Store,
  TABLES,
  type TransactOptions,
  type Verifier,
} from '@mangrove/protocol';
import { vi } from 'vitest';
import type { Environment, Identity } from '../../packages/client/src/environment.js';
import { Room, type RoomOptions } from '../../packages/client/src/room.js';
import type { Database } from '../../packages/client/src/stores/database.js';
import type { Leadership } from '../../packages/client/src/tabs/leadership.js';
import type { RoomChannel, TabNotice } from '../../packages/client/src/tabs/room-channel.js';
import type { Transport, TransportEvents } from '../../packages/client/src/transports/transport.js';
import { createEngine } from '../../packages/client/src/worker/engine.js';
import type { EngineApi, RoomListener } from '../../packages/client/src/worker/engine-api.js';
import { Counters } from '../../packages/relay/src/counters.js';
import type { Link } from '../../packages/relay/src/link.js';
import type { Authenticate, Connection, RelayIdentity, RelayPorts } from '../../packages/relay/src/ports.js';
import { RelayRoom } from '../../packages/relay/src/room.js';
import type { Environment as RelayEnvironment } from '../../packages/relay/src/storage/environment.js';
import { hash, type Keys } from './keys.js';

/** Where an in-memory world begins: some day, at noon. */
const START_MS = Date.UTC(2026, 0, 1, 12);
const RETRY_MS = 200;
const SPINS_MAX = 60_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The signature check of Node, at once, so that a world is one order of events. */
export const verifier: Verifier = {
  verify: async (publicKey, message, signature) => {
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') },
      format: 'jwk',
    });
    return verifySignature(null, message, key, signature);
  },
};

/**
 * Clients and a relay in one process: real rooms on both sides over memory stores, with everything a platform provides in the
 * hand of the test. Time stands still but for {@link until}, {@link run} and {@link pass}.
 */
export class ClientWorld {
  nowMs = START_MS;
  relay: WorldRelay;
  /** What would have reached the global error handler of a browser. */
  readonly bugs: unknown[] = [];
  readonly #tabs = new Set<Tab>();
  #entropy: Uint8Array;

  readonly limits: Limits;

  /** `seed`: of everything that is drawn by chance, keys included. */
  constructor(seed = 1, limits: Partial<Limits> = {}) {
    this.limits = { ...defaultLimits, ...limits };
    this.#entropy = hash(new TextEncoder().encode(`world ${seed}`));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    vi.stubGlobal('reportError', (error: unknown) => this.bugs.push(error));
    this.relay = new WorldRelay(this);
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at += 32) {
      this.#entropy = hash(this.#entropy);
      bytes.set(this.#entropy.subarray(0, Math.min(32, count - at)), at);
    }
    return bytes;
  }

  u32(): number {
    return new DataView(this.bytes(4).buffer).getUint32(0);
  }

  keys(): Keys {
    // Before a raw key Node wants these bytes (RFC 8410).
    const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
    const key = createPrivateKey({ key: Buffer.concat([prefix, this.bytes(32)]), format: 'der', type: 'pkcs8' });
    const { x } = createPublicKey(key).export({ format: 'jwk' }) as { x: string };
    return {
      publicKey: new Uint8Array(Buffer.from(x, 'base64url')),
      sign: (message) => new Uint8Array(sign(null, message, key)),
    };
  }

  profile(options: { readonly skewMs?: number } = {}): Profile {
    return new Profile(this, options.skewMs ?? 0);
  }

  /** Lets things happen until it is so; a millisecond passes with each turn. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (let spin = 0; spin < SPINS_MAX; spin++) {
      if (await isSo()) return;
      await this.#step(1);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  /** Lets things happen until the promise is settled. */
  async run<Result>(promise: Promise<Result>): Promise<Result> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.until('a promise', () => isSettled);
    return promise;
  }

  /** Lets this much time pass. */
  async pass(ms: number, stepMs = 250): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) await this.#step(Math.min(left, stepMs));
    await this.quiet();
  }

  /** Lets things happen until each room and the relay have one root and nothing waits. */
  async agree(...rooms: Room[]): Promise<void> {
    await this.run(Promise.all(rooms.map((room) => room.ready)));
    await this.until('one root, in sync, nothing pending', async () => {
      const root = await this.relay.root('team');
      return rooms.every(
        ({ status }) => status.sync === 'in-sync' && status.root === root && status.pending.writes === 0,
      );
    });
  }

  /** Lets everything happen that needs no time: many turns of the event loop. */
  async quiet(turns = 40): Promise<void> {
    for (let i = 0; i < turns; i++) await turn();
  }

  /** Another relay in the place of the old one, with an empty disk or a copy of one. */
  restartRelay(disk?: RelayDisk): void {
    const { authenticate } = this.relay;
    this.relay.stop();
    this.relay = new WorldRelay(this, disk);
    this.relay.authenticate = authenticate;
  }

  async close(): Promise<void> {
    for (const tab of this.#tabs) await this.run(tab.close().catch(() => {}));
    vi.useRealTimers();
    vi.unstubAllGlobals();
  }

  opened(tab: Tab): void {
    this.#tabs.add(tab);
  }

  async #step(ms: number): Promise<void> {
    await turn();
    this.nowMs += ms;
    vi.advanceTimersByTime(ms);
  }
}

/** What a relay keeps. */
export class RelayDisk {
  readonly stores = new Map<RoomId, MemoryStore>();
  readonly meta = new Map<string, Uint8Array>();
  readonly storeId: Uint8Array;
  readonly keys: Keys;

  constructor(storeId: Uint8Array, keys: Keys) {
    this.storeId = storeId;
    this.keys = keys;
  }

  copy(): RelayDisk {
    const copy = new RelayDisk(this.storeId, this.keys);
    for (const [name, value] of this.meta) copy.meta.set(name, value);
    for (const [roomId, store] of this.stores) copy.stores.set(roomId, copyStore(store));
    return copy;
  }

  store(roomId: RoomId): MemoryStore {
    let store = this.stores.get(roomId);
    if (store === undefined) this.stores.set(roomId, (store = new MemoryStore()));
    return store;
  }
}

export class WorldRelay {
  readonly disk: RelayDisk;
  readonly counters = new Counters();
  skewMs = 0;
  /** False: nobody gets through. */
  isUp = true;
  authenticate: Authenticate | undefined;
  readonly #world: ClientWorld;
  readonly #rooms = new Map<string, Promise<RelayRoom>>();
  readonly connections = new Set<MemoryConnection>();

  constructor(world: ClientWorld, disk = new RelayDisk(world.bytes(8), world.keys())) {
    this.#world = world;
    this.disk = disk;
  }

  open(name: string): Promise<RelayRoom> {
    let room = this.#rooms.get(name);
    if (room === undefined) this.#rooms.set(name, (room = RelayRoom.open(name, this.#ports())));
    return room;
  }

  /** The rows of a room, for a test to look at or to spoil. */
  store(name: string): MemoryStore {
    return this.disk.store(roomRef(name).roomId);
  }

  async root(name: string): Promise<string> {
    const version = await (await this.open(name)).version();
    return version === undefined ? '' : Buffer.from(version.root).toString('hex');
  }

  stop(): void {
    this.isUp = false;
    for (const connection of [...this.connections]) connection.cut();
  }

  #ports(): RelayPorts {
    const { disk } = this;
    const environment: RelayEnvironment = {
      room: (roomId) => {
        const store = disk.store(roomId);
        return { transact: store.transact.bind(store), close: async () => {} };
      },
      rooms: () => [...disk.stores.keys()],
      getMeta: async (name) => disk.meta.get(name),
      putMeta: async (name, value) => void disk.meta.set(name, value),
      close: async () => {},
    };
    const identity: RelayIdentity = {
      relayKey: disk.keys.publicKey,
      storeId: disk.storeId,
      sign: async (message) => disk.keys.sign(message),
    };
    return {
      environment,
      identity,
      hash,
      verifier,
      clock: { nowMs: () => this.#world.nowMs + this.skewMs },
      random: { bytes: (count) => this.#world.bytes(count) },
      limits: this.#world.limits,
      authenticate: async (request) =>
        this.authenticate === undefined ? { rights: ['read', 'write'] } : this.authenticate(request),
      counters: this.counters,
      report: (error) => this.#world.bugs.push(error),
    };
  }
}

/** How the network between a device and the relay behaves. */
export class Network {
  /** False: connections end, and none begins. */
  #isUp = true;
  /** True: nothing comes through, and nobody is told. */
  isStalled = false;
  latencyMs = 0;
  /** Sees, and may change or drop (undefined), what comes from the relay. */
  fromRelay: (frame: Uint8Array) => Uint8Array | undefined = (frame) => frame;
  /** The same for what goes to it. */
  toRelay: (frame: Uint8Array) => Uint8Array | undefined = (frame) => frame;
  readonly connections = new Set<MemoryConnection>();

  get isUp(): boolean {
    return this.#isUp;
  }

  set isUp(isUp: boolean) {
    this.#isUp = isUp;
    if (!isUp) for (const connection of [...this.connections]) connection.cut();
  }

  resume(): void {
    this.isStalled = false;
    for (const connection of this.connections) connection.deliver();
  }
}

/** A device: one database, one identity a room, one lock manager and the channels between its tabs. */
export class Profile {
  readonly world: ClientWorld;
  readonly network = new Network();
  skewMs: number;
  readonly stores = new Map<RoomId, MemoryStore>();
  readonly keys = new Map<RoomId, Keys>();
  readonly #locks = new Map<string, Waiting[]>();
  readonly #channels = new Map<string, Set<MemoryChannel>>();

  constructor(world: ClientWorld, skewMs: number) {
    this.world = world;
    this.skewMs = skewMs;
  }

  /** `memory`: a browser that denies storage, where each tab is on its own. */
  tab(options: { readonly relays?: readonly string[]; readonly memory?: boolean } = {}): Tab {
    return new Tab(this, options.relays ?? ['wss://relay.test'], options.memory ?? false);
  }

  /** The same profile on another device, as it is now. */
  copy(): Profile {
    const copy = new Profile(this.world, this.skewMs);
    for (const [roomId, store] of this.stores) copy.stores.set(roomId, copyStore(store));
    for (const [roomId, keys] of this.keys) copy.keys.set(roomId, keys);
    return copy;
  }

  /** The rows of a room, for a test to look at or to spoil. */
  store(name: string): MemoryStore {
    const { roomId } = roomRef(name);
    let store = this.stores.get(roomId);
    if (store === undefined) this.stores.set(roomId, (store = new MemoryStore()));
    return store;
  }

  identity(roomId: RoomId, spent?: ReplicaId): Identity {
    const idOf = (keys: Keys): ReplicaId => deriveReplicaId(hash, roomId, keys.publicKey);
    let keys = this.keys.get(roomId);
    if (keys === undefined || idOf(keys) === spent) this.keys.set(roomId, (keys = this.world.keys()));
    const { publicKey, sign } = keys;
    return { replica: idOf(keys), signer: { publicKey, sign: async (message) => sign(message) } };
  }

  replica(name: string): ReplicaId {
    return this.identity(roomRef(name).roomId).replica;
  }

  lead(name: string): Leadership {
    const queue = this.#locks.get(name) ?? [];
    this.#locks.set(name, queue);
    let grant = (): void => {};
    const acquired = new Promise<void>((resolve) => {
      grant = resolve;
    });
    const waiting: Waiting = { grant };
    queue.push(waiting);
    if (queue.length === 1) grant();
    return {
      acquired,
      release: () => {
        const at = queue.indexOf(waiting);
        if (at < 0) return;
        queue.splice(at, 1);
        if (at === 0) queue[0]?.grant();
      },
    };
  }

  channel(name: string, tab: Tab): RoomChannel {
    const channels = this.#channels.get(name) ?? new Set();
    this.#channels.set(name, channels);
    const channel = new MemoryChannel(channels, tab);
    channels.add(channel);
    return channel;
  }
}

/** One tab: a worker's engine and the page's handles, with messages between them as a browser passes them on. */
export class Tab {
  readonly profile: Profile;
  readonly engine: EngineApi;
  readonly relays: readonly string[];
  /** Called before each transaction of this tab; what it throws or waits for happens to the transaction. */
  beforeTransact: (options: TransactOptions) => void | Promise<void> = () => {};
  /** Called before each signature. */
  beforeSign: () => void | Promise<void> = () => {};
  /** Holds notices of this tab to the others back while true. */
  isMute = false;
  readonly transports = new Set<MemoryTransport>();
  readonly #leaderships = new Set<Leadership>();
  readonly #rooms = new Map<string, Room>();
  readonly #leaving = new Map<string, Promise<void>>();
  /** Where its rows and keys are. */
  readonly #device: Profile;
  /** Where they are when the device's storage has failed. */
  readonly #refuge: Profile;
  readonly #inMemory: boolean;
  /** Where its rows are now. */
  #place: Profile;
  #onLost: ((error: MangroveError) => void) | undefined;
  #isGone = false;

  constructor(profile: Profile, relays: readonly string[], inMemory: boolean) {
    this.profile = profile;
    this.relays = relays;
    this.#device = profile;
    this.#refuge = new Profile(profile.world, profile.skewMs);
    this.#place = profile;
    this.#inMemory = inMemory;
    this.engine = crossing(createEngine(this.#environment(), 'world', profile.world.limits));
    profile.world.opened(this);
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  room(name = 'team', options: RoomOptions = {}): Room {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = new Room(name, options, {
        relays: this.relays,
        limits: this.profile.world.limits,
        engine: () => this.engine,
        closed: (closed, done) => {
          this.#rooms.delete(closed);
          this.#leaving.set(closed, done);
        },
        left: (left) => this.#leaving.get(left) ?? Promise.resolve(),
      });
      this.#rooms.set(name, room);
    }
    return room;
  }

  async close(): Promise<void> {
    if (this.#isGone) return;
    for (const room of [...this.#rooms.values()]) room.close();
    await Promise.all(this.#leaving.values());
    await this.engine.shutDown(false);
  }

  /** As a browser ends a tab that is killed: nothing more is written or said, and the lock is free. */
  crash(): void {
    this.#isGone = true;
    for (const transport of this.transports) transport.vanish();
    for (const leadership of this.#leaderships) leadership.release();
  }

  /** The device's database is gone for this tab, with or without its rows. */
  loseDatabase(failure: 'deleted' | 'lost' | 'newer'): void {
    if (failure === 'deleted') this.#device.stores.clear();
    this.#onLost?.(new MangroveError('STORAGE_UNAVAILABLE', { reason: 'a test takes it', failure }));
  }

  /** Takes the lock away while the tab goes on, as one that was frozen would. */
  loseLock(): void {
    for (const leadership of this.#leaderships) leadership.release();
  }

  #environment(): Environment {
    const { profile } = this;
    const { world } = profile;
    return {
      hash,
      verifier,
      clock: { nowMs: () => world.nowMs + profile.skewMs },
      random: { u32: () => world.u32() },
      hasBuckets: false,
      openRescued: async () => undefined,
      deleteElsewhere: async () => {},
      openDatabase: async (_, place, onLost) => {
        if (place === 'main' && this.#inMemory)
          throw new MangroveError('STORAGE_UNAVAILABLE', { reason: 'a test denies it', failure: 'denied' });
        this.#onLost = onLost;
        this.#place = place === 'main' ? this.#device : this.#refuge;
        return this.#database(this.#place);
      },
      openIdentity: async (_, roomId, spent) => {
        const { replica, signer } = this.#place.identity(roomId, spent);
        const sign = async (message: Uint8Array): Promise<Uint8Array> => {
          await this.beforeSign();
          return signer.sign(message);
        };
        return { replica, signer: { publicKey: signer.publicKey, sign } };
      },
      openChannel: (name) => profile.channel(name, this),
      lead: (name) => {
        const leadership = profile.lead(name);
        this.#leaderships.add(leadership);
        return leadership;
      },
      connect: (_, room, events) => {
        const transport = new MemoryTransport(profile, room, events);
        this.transports.add(transport);
        return transport;
      },
    };
  }

  #database({ stores }: Profile): Database {
    let isClosed = false;
    return {
      isPersistent: stores === this.#device.stores,
      room: (roomId) => {
        let store = stores.get(roomId);
        if (store === undefined) stores.set(roomId, (store = new MemoryStore()));
        return new TabStore(store, this, () => isClosed);
      },
      readIdentity: async () => undefined,
      writeIdentity: async () => {},
      deleteAll: async () => stores.clear(),
      close: async () => {
        isClosed = true;
      },
    };
  }
}

interface Waiting {
  readonly grant: () => void;
}

class TabStore implements Store {
  readonly #store: Store;
  readonly #tab: Tab;
  readonly #isClosed: () => boolean;

  constructor(store: Store, tab: Tab, isClosed: () => boolean) {
    this.#store = store;
    this.#tab = tab;
    this.#isClosed = isClosed;
  }

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    if (this.#isClosed()) throw new MangroveError('CLOSED', { what: 'database' });
    await this.#tab.beforeTransact(options);
    if (this.#tab.isGone) return await new Promise<never>(() => {});
    const result = await this.#store.transact(plan, options);
    return this.#tab.isGone ? await new Promise<never>(() => {}) : result;
  }

  async close(): Promise<void> {}
}

class MemoryChannel implements RoomChannel {
  readonly #all: Set<MemoryChannel>;
  readonly #tab: Tab;
  readonly #outgoing: TabNotice[] = [];
  #listener: (notice: TabNotice) => void = () => {};

  constructor(all: Set<MemoryChannel>, tab: Tab) {
    this.#all = all;
    this.#tab = tab;
  }

  post(notice: TabNotice): void {
    if (!this.#all.has(this) || this.#tab.isGone) return;
    this.#outgoing.push(structuredClone(notice));
    setImmediate(() => this.#deliver());
  }

  /** One notice a turn, in order: what was posted before is never overtaken by what the same tab posted later. */
  #deliver(): void {
    if (this.#tab.isMute && !this.#tab.isGone) {
      setImmediate(() => this.#deliver());
      return;
    }
    const notice = this.#outgoing.shift() as TabNotice;
    if (this.#tab.isMute) return;
    for (const other of this.#all) if (other !== this && !other.#tab.isGone) other.#listener(notice);
  }

  listen(listener: (notice: TabNotice) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#all.delete(this);
  }
}

/** A transport to a real room of the relay, through the network of a profile. */
export class MemoryTransport implements Transport {
  readonly #profile: Profile;
  readonly #room: string;
  readonly #events: TransportEvents;
  #connection: MemoryConnection | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  attempts = 0;

  constructor(profile: Profile, room: string, events: TransportEvents) {
    this.#profile = profile;
    this.#room = room;
    this.#events = events;
    this.#connect();
  }

  send(frame: Uint8Array): void {
    this.#connection?.toRelay(frame);
  }

  gained(): void {}

  reconnect(): void {
    this.#isClosed = false;
    clearTimeout(this.#retry);
    const connection = this.#connection;
    if (connection === undefined) this.#connect();
    else connection.cut(0);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.leave();
  }

  /** Ends without a word to its owner; the relay learns of it. */
  vanish(): void {
    this.close();
  }

  #connect(): void {
    this.attempts++;
    this.#events.connecting();
    setImmediate(() => void this.#open());
  }

  async #open(): Promise<void> {
    const { world, network } = this.#profile;
    const room = await world.relay.open(this.#room);
    if (this.#isClosed) return;
    if (!world.relay.isUp || !network.isUp) return this.#ended(1006, '', RETRY_MS);
    const connection = new MemoryConnection(world.relay, network, room, {
      frame: (bytes) => this.#events.frame(bytes),
      closed: (code, reason, retryMs) => {
        if (this.#connection !== connection) return;
        this.#connection = undefined;
        this.#ended(code, reason, retryMs);
      },
    });
    this.#connection = connection;
    this.#events.opened();
    connection.begin();
  }

  #ended(code: number, reason: string, retryMs: number): void {
    const final = code >= 4400 && code <= 4499;
    this.#events.closed({ code, reason, final });
    if (final || this.#isClosed) return;
    this.#retry = setTimeout(() => this.#connect(), retryMs);
  }
}

/** Both ends of one connection. Frames are copied, in order, each in a turn of its own. */
class MemoryConnection implements Connection {
  readonly origin = undefined;
  readonly #relay: WorldRelay;
  readonly #network: Network;
  readonly #room: RelayRoom;
  readonly #client: {
    frame(bytes: Uint8Array): void;
    closed(code: number, reason: string, retryMs: number): void;
  };
  readonly #waiting: (() => void)[] = [];
  #link: Link | undefined;
  #isOpen = true;

  constructor(
    relay: WorldRelay,
    network: Network,
    room: RelayRoom,
    client: { frame(bytes: Uint8Array): void; closed(code: number, reason: string, retryMs: number): void },
  ) {
    this.#relay = relay;
    this.#network = network;
    this.#room = room;
    this.#client = client;
    relay.connections.add(this);
    network.connections.add(this);
  }

  begin(): void {
    this.#link = this.#room.connect(this);
  }

  // As the relay sees it.

  send(frame: Uint8Array): void {
    this.#pass(() => {
      const seen = this.#network.fromRelay(frame.slice());
      if (seen !== undefined) this.#client.frame(seen);
    });
  }

  close(code: number, reason: string): void {
    this.#pass(() => this.#end(code, reason, RETRY_MS));
  }

  bufferedBytes(): number {
    return 0;
  }

  async drained(): Promise<void> {}

  // As the client sees it.

  toRelay(frame: Uint8Array): void {
    this.#pass(() => {
      const seen = this.#network.toRelay(frame.slice());
      if (seen !== undefined) void this.#link?.receive(seen);
    });
  }

  /** The client closes. */
  leave(): void {
    this.#end(1000, '', RETRY_MS);
  }

  /** The network fails: both ends learn of it. */
  cut(retryMs = RETRY_MS): void {
    this.#end(1006, '', retryMs);
  }

  deliver(): void {
    for (const deliver of this.#waiting.splice(0)) setImmediate(deliver);
  }

  #pass(act: () => void): void {
    const deliver = (): void => {
      if (!this.#isOpen) return;
      if (this.#network.isStalled) this.#waiting.push(deliver);
      else act();
    };
    const { latencyMs } = this.#network;
    if (latencyMs === 0) setImmediate(deliver);
    else setTimeout(deliver, latencyMs);
  }

  #end(code: number, reason: string, retryMs: number): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#relay.connections.delete(this);
    this.#network.connections.delete(this);
    this.#link?.closed();
    this.#client.closed(code, reason, retryMs);
  }
}

/** Calls as they cross between a page and its worker: copied, in order, each in a turn of its own; errors as facts. */
function crossing(engine: EngineApi): EngineApi {
  const call = async (method: keyof EngineApi, args: unknown[]): Promise<unknown> => {
    const copies = method === 'openRoom' ? [structuredClone(args[0]), crossingBack(args[1] as RoomListener)] : args;
    const sent = method === 'openRoom' ? copies : structuredClone(args);
    await turn();
    const outcome = await (engine[method] as (...args: unknown[]) => Promise<unknown>)(...sent).then(
      (value) => ({ value: structuredClone(value) }),
      (error: unknown) => ({ error: structuredClone(errorToFacts(error)) }),
    );
    await turn();
    if ('error' in outcome) throw errorFromFacts(outcome.error);
    return outcome.value;
  };
  return new Proxy(engine, {
    get:
      (_, method) =>
      (...args: unknown[]) =>
        call(method as keyof EngineApi, args),
  });
}

function crossingBack(listener: RoomListener): RoomListener {
  return new Proxy(listener, {
    get:
      (target, method: keyof RoomListener) =>
      async (...args: unknown[]) => {
        const copies = structuredClone(args);
        await turn();
        return (target[method] as (...args: unknown[]) => unknown)(...copies);
      },
  });
}

export function roomRef(name = 'team'): RoomRef {
  return { hash, roomId: deriveRoomId(hash, name, { history: 'current', encrypted: false }) };
}

export function copyStore(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const name of TABLES) {
    for (const [key, value] of store.tables.table(name).rows({ from: new Uint8Array() }))
      copy.tables.table(name).put(key, value);
  }
  return copy;
}

/** What a frame from the relay says, where it is one whole message. `heard`: what all frames before it told. */
export function messageFromRelay(frame: Uint8Array, heard: LinkMemory): RelayMessage {
  return bytesToRelayMessage(new FrameJoiner(defaultLimits).add(frame) as Uint8Array, heard);
}

export function frameOf(message: Message): Uint8Array {
  return messageToFrames(messageToBytes(message), defaultLimits)[0] as Uint8Array;
}

/** What a frame to the relay says, where it is one whole message. `told`: what all frames before it told. */
export function messageToRelay(frame: Uint8Array, told: LinkMemory): ReplicaMessage {
  return bytesToReplicaMessage(new FrameJoiner(defaultLimits).add(frame) as Uint8Array, told);
}
