import { MemoryStore, NO_QUOTA, type Quota, type RoomId } from '@mangrove/protocol';
import { Counters } from '../../../packages/relay/src/counters.js';
import type { Authenticate, RelayIdentity, RelayPorts } from '../../../packages/relay/src/ports.js';
import { RelayRoom } from '../../../packages/relay/src/room.js';
import { defaultRates } from '../../../packages/relay/src/rates.js';
import { SILENT } from '../../../packages/relay/src/log.js';
import { Turns } from '../../../packages/relay/src/turns.js';
import type { Environment as RelayEnvironment } from '../../../packages/relay/src/storage/environment.js';
import { hash, type Keys } from '../keys.js';
import type { MemoryConnection } from './network.js';
import { copyStore, roomRef } from './rows.js';
import { verifier } from './verifier.js';
import type { ClientWorld } from './world.js';

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
  /** Of rooms that are opened from now on. */
  rates = defaultRates;
  quota: Quota = NO_QUOTA;
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
    const relay = this;
    return {
      environment,
      identity,
      hash,
      verifier,
      clock: { nowMs: () => this.#world.nowMs + this.skewMs },
      later: (delayMs, run) => void setTimeout(run, delayMs),
      random: { bytes: (count) => this.#world.bytes(count) },
      limits: this.#world.limits,
      authenticate: async (request, context) =>
        this.authenticate === undefined ? { rights: ['read', 'write'] } : this.authenticate(request, context),
      counters: this.counters,
      rates: this.rates,
      recheckMs: undefined,
      once: async () => true,
      get quota() {
        return relay.quota;
      },
      log: SILENT,
      turns: new Turns((run) => void setImmediate(run)),
      report: (error) => this.#world.bugs.push(error),
    };
  }
}
