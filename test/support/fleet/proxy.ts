import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Proxy {
  readonly port: number;
  /** From now on nothing passes, and nobody is told: what is connected hangs, as behind a network that has gone. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

/** Stands between a relay and its engine. */
export async function startProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    sockets.add(near);
    near.on('error', () => {});
    near.on('close', () => sockets.delete(near));
    // Whoever connects now waits for an answer that does not come.
    if (isCut) return;
    const far = connect(target, '127.0.0.1');
    sockets.add(far);
    far.on('error', () => near.destroy());
    far.on('close', () => {
      sockets.delete(far);
      near.destroy();
    });
    near.on('close', () => far.destroy());
    near.on('data', (bytes) => {
      if (!isCut) far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (!isCut) near.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      isCut = true;
    },
    mend: () => {
      isCut = false;
      // What was swallowed does not come any more, so those connections are of no use.
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Sends each connection to the next of those that live, as what stands before a fleet does. */
export async function startBalancer(targets: () => readonly number[]): Promise<Pick<Proxy, 'port' | 'close'>> {
  const sockets = new Set<Socket>();
  let next = 0;
  const server = createServer((near) => {
    const living = targets();
    const port = living[next++ % Math.max(1, living.length)];
    near.on('error', () => {});
    if (port === undefined) {
      near.destroy();
      return;
    }
    const far = connect(port, '127.0.0.1');
    far.on('error', () => near.destroy());
    near.pipe(far).pipe(near);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
