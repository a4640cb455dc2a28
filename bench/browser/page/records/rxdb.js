import { createRxDatabase } from 'rxdb';
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie';

const SCHEMA = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 100 },
    title: { type: 'string' },
    note: { type: 'string' },
    count: { type: 'number' },
    isDone: { type: 'boolean' },
  },
};

export async function open(name) {
  const db = await createRxDatabase({ name, storage: getRxStorageDexie() });
  const { records } = await db.addCollections({ records: { schema: SCHEMA } });
  return {
    put: (id, value) => records.insert({ id, ...value }),
    putMany: async (entries) => {
      const { error } = await records.bulkInsert(entries.map(([id, value]) => ({ id, ...value })));
      if (error.length > 0) throw new Error(`${error.length} records were not taken`);
    },
    get: async (id) => withoutId((await records.findOne(id).exec()).toJSON())[1],
    all: async () => (await records.find().exec()).map((document) => withoutId(document.toJSON())),
  };
}

function withoutId({ id, ...value }) {
  return [id, value];
}
