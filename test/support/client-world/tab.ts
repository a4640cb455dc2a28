import { MangroveError, MemoryStore, type Plan, type Store, type TransactOptions } from '@mangrove/protocol';
import type { Environment } from '../../../packages/client/src/environment.js';
import { Marks } from '../../../packages/client/src/marks.js';
import { Room, type RoomOptions } from '../../../packages/client/src/room.js';
import type { Database } from '../../../packages/client/src/stores/database.js';
import { unavailable } from '../../../packages/client/src/stores/places.js';
import type { Leadership } from '../../../packages/client/src/tabs/leadership.js';
import { createEngine } from '../../../packages/client/src/worker/engine.js';
// Loaded before a test begins: the time of a world does not wait for it.
import '../../../packages/client/src/worker/on-demand.js';
import type { EngineApi } from '../../../packages/client/src/worker/engine-api.js';
import { hash } from '../keys.js';
import { crossing } from './crossing.js';
import { MemoryTransport } from './network.js';
import type { Profile } from './profile.js';
import { WorldShadows } from './shadow.js';
import { verifier } from './verifier.js';

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
  isVisible = true;
  readonly shadows = new WorldShadows();
  readonly transports = new Set<MemoryTransport>();
  readonly #leaderships = new Set<Leadership>();
  readonly #rooms = new Map<string, Room>();
  readonly #leaving = new Map<string, Promise<void>>();
  /** Where its rows and keys are. */
  readonly #device: Profile;
  /** Where they are when the device's storage has failed. */
  readonly #refuge: Profile;
  readonly #inMemory: boolean;
  /** Where the rows and keys of a database are. */
  readonly #places = new WeakMap<Database, Profile>();
  #onLost: ((error: MangroveError) => void) | undefined;
  #isGone = false;
  /** What waits for a frozen tab, in the order in which it came; undefined where the tab is awake. */
  #frozen: (() => void)[] | undefined;

  constructor(profile: Profile, relays: readonly string[], inMemory: boolean) {
    this.profile = profile;
    this.relays = relays;
    this.#device = profile;
    this.#refuge = profile.refuge();
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
        clock: { steadyMs: () => this.profile.world.nowMs, nowMs: () => this.profile.world.nowMs },
        marks: new Marks('world', () => this.#device.localStorage),
        persisted: () => null,
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

  /** As a browser freezes a tab: it keeps its locks, and what is under way goes on when it thaws. */
  freeze(): void {
    this.#frozen ??= [];
  }

  thaw(): void {
    const waiting = this.#frozen ?? [];
    this.#frozen = undefined;
    for (const act of waiting) act();
  }

  /** Now, or when the tab thaws. */
  whenAwake(act: () => void): void {
    if (this.#frozen === undefined) act();
    else this.#frozen.push(act);
  }

  awake(): Promise<void> | undefined {
    return this.#frozen === undefined ? undefined : new Promise((resolve) => this.whenAwake(resolve));
  }

  /** The device's database is gone for this tab, with or without its rows. */
  loseDatabase(failure: 'deleted' | 'lost' | 'newer'): void {
    if (failure === 'deleted') this.#device.stores.clear();
    this.#onLost?.(unavailable(failure, 'a test takes it'));
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
        const from = place === 'main' ? this.#device : this.#refuge;
        const database = this.#database(from);
        this.#places.set(database, from);
        return database;
      },
      openIdentity: async (database, roomId, spent) => {
        const { replica, signer, isNew } = (this.#places.get(database) as Profile).identity(roomId, spent);
        const sign = async (message: Uint8Array): Promise<Uint8Array> => {
          await this.beforeSign();
          await this.awake();
          return signer.sign(message);
        };
        return { replica, signer: { publicKey: signer.publicKey, sign }, isNew };
      },
      openChannel: (name) => profile.channel(name, this),
      startShadow: (events) => this.shadows.start(events),
      isVisible: () => this.isVisible,
      lead: (name, options) => {
        const leadership = profile.lead(name, options);
        this.#leaderships.add(leadership);
        const { acquired, lost } = leadership;
        const release = (): void => leadership.release();
        return { acquired: acquired.then(() => this.awake()), lost: lost.then(() => this.awake()), release };
      },
      connect: (_, room, events) => {
        const transport = new MemoryTransport(profile, room, {
          connecting: () => this.whenAwake(() => events.connecting()),
          opened: () => this.whenAwake(() => events.opened()),
          frame: (bytes) => this.whenAwake(() => events.frame(bytes)),
          closed: (end) => this.whenAwake(() => events.closed(end)),
        });
        this.transports.add(transport);
        return transport;
      },
    };
  }

  #database({ stores }: Profile): Database {
    let isClosed = false;
    return {
      wasDiscarded: false,
      isPersistent: stores === this.#device.stores,
      room: (roomId) => {
        let store = stores.get(roomId);
        if (store === undefined) stores.set(roomId, (store = new MemoryStore()));
        return new TabStore(store, this, () => isClosed);
      },
      // The private half stays with the profile, which signs.
      readIdentity: async (roomId) => {
        const keys = this.#device.keys.get(roomId);
        return keys && { publicKey: keys.publicKey, privateKey: undefined as never };
      },
      writeIdentity: async () => {},
      deleteAll: async () => stores.clear(),
      close: async () => {
        isClosed = true;
      },
    };
  }
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
    await this.#tab.awake();
    if (this.#tab.isGone) return await new Promise<never>(() => {});
    const result = await this.#store.transact(plan, options);
    await this.#tab.awake();
    return this.#tab.isGone ? await new Promise<never>(() => {}) : result;
  }

  async close(): Promise<void> {}
}
