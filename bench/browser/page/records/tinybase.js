import { createStore } from 'tinybase';
import { createIndexedDbPersister } from 'tinybase/persisters/persister-indexed-db';
import { watchWrites, writesIdle } from '../write-watch.js';

const TABLE = 'records';

/** A store in memory; saving writes each table as one value. */
export async function open(name) {
  watchWrites();
  const store = createStore();
  const persister = createIndexedDbPersister(store, name);
  await persister.load();
  const save = async () => {
    await persister.save();
    await writesIdle();
  };
  return {
    put(id, value) {
      store.setRow(TABLE, id, value);
      return save();
    },
    putEach(entries) {
      for (const [id, value] of entries) store.setRow(TABLE, id, value);
      return save();
    },
    putMany(entries) {
      store.setTable(TABLE, Object.fromEntries(entries));
      return save();
    },
    get: async (id) => store.getRow(TABLE, id),
    all: async () => Object.entries(store.getTable(TABLE)),
  };
}
