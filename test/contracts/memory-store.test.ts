import { bytesToRoomId, MemoryStore } from '@mangrove/protocol';
import { MemoryDatabase } from '../../packages/client/src/stores/memory-database.js';
import { describeStore } from './store-contract.js';

describeStore('memory', async () => ({ store: new MemoryStore(), destroy: async () => {} }));

describeStore('memory database of a client', async () => {
  const database = new MemoryDatabase();
  const roomId = bytesToRoomId(new Uint8Array(32).fill(0xaa));
  const store = database.room(roomId);
  return {
    store,
    neighbour: database.room(bytesToRoomId(new Uint8Array(32).fill(0xab))),
    // The rows outlive the handle, though not the process.
    reopen: async () => {
      await store.close();
      return database.room(roomId);
    },
    destroy: () => database.close(),
  };
});
