import { createClient } from '@mangrove/client';

/** Without a relay: what is measured is the browser alone. A put resolves when it is on disk. */
export async function open(name) {
  const room = createClient({ name }).room('bench');
  const records = room.collection('records');
  await room.ready;
  return {
    put: (id, value) => records.put(id, value),
    get: async (id) => (await records.get(id)).value,
    all: async () => (await records.entries()).map(([id, { value }]) => [id, value]),
  };
}
