import { openDatabase, read, write } from '../idb.js';

/** The floor: puts into one object store of one database. */
export async function openRaw(name, durability) {
  const db = await openDatabase(name, { records: {} });
  return {
    put: (id, value) => write(db, 'records', durability, (store) => store.put(value, id)),
    putMany: (entries) =>
      write(db, 'records', durability, (store) => {
        for (const [id, value] of entries) store.put(value, id);
      }),
    get: (id) => read(db, 'records', (store) => store.get(id)),
    async all() {
      const store = db.transaction('records').objectStore('records');
      const [ids, values] = await Promise.all([settled(store.getAllKeys()), settled(store.getAll())]);
      return ids.map((id, i) => [id, values[i]]);
    },
  };
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
