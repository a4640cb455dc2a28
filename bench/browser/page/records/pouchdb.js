import PouchDB from 'pouchdb-browser';

export async function open(name) {
  const db = new PouchDB(name);
  await db.info();
  return {
    put: (id, value) => db.put({ _id: id, ...value }),
    putMany: async (entries) => {
      const answers = await db.bulkDocs(entries.map(([id, value]) => ({ _id: id, ...value })));
      if (answers.some(({ ok }) => !ok)) throw new Error('some records were not taken');
    },
    get: async (id) => withoutId(await db.get(id))[1],
    all: async () => (await db.allDocs({ include_docs: true })).rows.map(({ doc }) => withoutId(doc)),
  };
}

function withoutId({ _id, _rev, ...value }) {
  return [_id, value];
}
