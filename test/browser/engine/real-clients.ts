import { type Client, createClient, type Room } from '@mangrove/client';
import { afterEach } from 'vitest';

export interface RealTab {
  readonly client: Client;
  readonly room: Room;
  readonly name: string;
}

/**
 * Clients with real workers, IndexedDB and locks; without a relay, so that what is here is only here. Two of one name are two tabs of one profile.
 * What a test has opened is deleted after it.
 */
export function setClients(room: string): (name?: string) => RealTab {
  const clients: Client[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.destroy({ deleteLocalData: true }).catch(() => {});
  });
  return (name = `mangrove-test-${crypto.randomUUID()}`) => {
    const worker = () =>
      new Worker(new URL('../../../packages/client/src/worker/entry.ts', import.meta.url), { type: 'module' });
    const client = createClient({ name, worker });
    clients.push(client);
    return { client, room: client.room(room), name };
  };
}
