import { deriveRoomId, MemoryStore, type RoomRef, TABLES } from '@mangrove/protocol';
import { hash } from '../keys.js';

export function roomRef(name = 'team', history: RoomRef['history'] = 'current'): RoomRef {
  return { hash, roomId: deriveRoomId(hash, name, { history, encrypted: false }), history };
}

export function copyStore(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const name of TABLES) {
    for (const [key, value] of store.tables.table(name).rows({ from: new Uint8Array() }))
      copy.tables.table(name).put(key, value);
  }
  return copy;
}
