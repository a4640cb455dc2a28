import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Free when it was asked for, which is as much as can be said. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
