import { MemoryStore, type RoomId, type Store } from '@mangrove/protocol';

/**
 * Where a relay keeps all of its rooms: one disk, one environment. Rooms are told apart by their id, a hash, so no name that
 * a client makes up ever becomes a path.
 */
export interface Environment {
  /** The store of a room; made when it is first written to. After its `close` it can be opened again. */
  room(roomId: RoomId): Store;
  rooms(): readonly RoomId[];
  getMeta(name: string): Promise<Uint8Array | undefined>;
  /** Resolves when a power cut can no longer take the value. */
  putMeta(name: string, value: Uint8Array): Promise<void>;
  /** What is under way is finished first. */
  close(): Promise<void>;
}

/** Lives as long as the process: for tests and for trying things out. */
export function openMemory(): Environment {
  const stores = new Map<RoomId, MemoryStore>();
  const meta = new Map<string, Uint8Array>();
  return {
    room(roomId) {
      let store = stores.get(roomId);
      if (store === undefined) stores.set(roomId, (store = new MemoryStore()));
      // Unloading an idle room must not lose it, so a handle's close leaves the rows where they are.
      const { transact } = store;
      return { transact: transact.bind(store), close: async () => {} };
    },
    rooms: () => [...stores.keys()],
    getMeta: async (name) => meta.get(name),
    putMeta: async (name, value) => {
      meta.set(name, value);
    },
    close: async () => {},
  };
}
