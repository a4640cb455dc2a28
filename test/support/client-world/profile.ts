import { deriveReplicaId, MemoryStore, type ReplicaId, type RoomId, type RoomRef } from '@mangrove/protocol';
import type { OpenedIdentity } from '../../../packages/client/src/environment.js';
import type { LeadOptions, Leadership } from '../../../packages/client/src/tabs/leadership.js';
import type { RoomChannel } from '../../../packages/client/src/tabs/room-channel.js';
import { hash, type Keys } from '../keys.js';
import { memoryStorage } from '../memory-storage.js';
import type { MarkStorage } from '../../../packages/client/src/marks.js';
import { MemoryChannel } from './channel.js';
import { Network } from './network.js';
import { copyStore, roomRef } from './rows.js';
import { Tab } from './tab.js';
import type { ClientWorld } from './world.js';

interface Waiting {
  readonly grant: () => void;
  readonly lose: () => void;
}

/** A device: one database, one identity a room, one lock manager and the channels between its tabs. */
export class Profile {
  readonly world: ClientWorld;
  readonly network = new Network();
  skewMs: number;
  readonly stores = new Map<RoomId, MemoryStore>();
  readonly keys = new Map<RoomId, Keys>();
  /** What its pages keep beside the database. */
  readonly localStorage: MarkStorage = memoryStorage();
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

  /** Where the rows and keys of a tab are when the storage of this device has failed. */
  refuge(): Profile {
    return new Profile(this.world, this.skewMs);
  }

  /** As a browser does that finds the database damaged: at the next visit it is as if there had been none. */
  loseData(): void {
    this.stores.clear();
    this.keys.clear();
  }

  /** The same profile on another device, as it is now. */
  copy(): Profile {
    const copy = new Profile(this.world, this.skewMs);
    for (const [roomId, store] of this.stores) copy.stores.set(roomId, copyStore(store));
    for (const [roomId, keys] of this.keys) copy.keys.set(roomId, keys);
    return copy;
  }

  /** The rows of a room, for a test to look at or to spoil. */
  store(name: string, history: RoomRef['history'] = 'current'): MemoryStore {
    const { roomId } = roomRef(name, history);
    let store = this.stores.get(roomId);
    if (store === undefined) this.stores.set(roomId, (store = new MemoryStore()));
    return store;
  }

  identity(roomId: RoomId, spent?: ReplicaId): OpenedIdentity {
    const idOf = (keys: Keys): ReplicaId => deriveReplicaId(hash, roomId, keys.publicKey);
    let keys = this.keys.get(roomId);
    const isNew = keys === undefined;
    if (keys === undefined || idOf(keys) === spent) this.keys.set(roomId, (keys = this.world.keys()));
    const { publicKey, sign } = keys;
    return { replica: idOf(keys), signer: { publicKey, sign: async (message) => sign(message) }, isNew };
  }

  replica(name: string): ReplicaId {
    return this.identity(roomRef(name).roomId).replica;
  }

  lead(name: string, { steal = false }: LeadOptions = {}): Leadership {
    const queue = this.#locks.get(name) ?? [];
    this.#locks.set(name, queue);
    let grant = (): void => {};
    let lose = (): void => {};
    const acquired = new Promise<void>((resolve) => {
      grant = resolve;
    });
    const lost = new Promise<void>((resolve) => {
      lose = resolve;
    });
    const waiting: Waiting = { grant, lose };
    if (steal) {
      queue.shift()?.lose();
      queue.unshift(waiting);
    } else {
      queue.push(waiting);
    }
    if (queue[0] === waiting) grant();
    return {
      acquired,
      lost,
      release: () => {
        const at = queue.indexOf(waiting);
        if (at < 0) return;
        queue.splice(at, 1);
        if (at === 0) queue[0]?.grant();
      },
    };
  }

  /** Takes the ownership of a room from the tab that has it, for the one that waits next; `silently`: it is not told. */
  steal(name: string, { silently = false }: { readonly silently?: boolean } = {}): void {
    for (const [lock, queue] of this.#locks) {
      if (!lock.endsWith(roomRef(name).roomId)) continue;
      const former = queue.shift();
      if (!silently) former?.lose();
      queue[0]?.grant();
    }
  }

  channel(name: string, tab: Tab): RoomChannel {
    const channels = this.#channels.get(name) ?? new Set();
    this.#channels.set(name, channels);
    const channel = new MemoryChannel(channels, tab);
    channels.add(channel);
    return channel;
  }
}
