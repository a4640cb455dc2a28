import { Dexie } from 'dexie';

export async function open(name) {
  const db = new Dexie(name);
  db.version(1).stores({ records: 'id' });
  await db.open();
  return {
    put: (id, value) => db.records.put({ id, ...value }),
    putMany: (entries) => db.records.bulkPut(entries.map(([id, value]) => ({ id, ...value }))),
    get: async (id) => withoutId(await db.records.get(id))[1],
    all: async () => (await db.records.toArray()).map(withoutId),
  };
}

function withoutId({ id, ...value }) {
  return [id, value];
}
