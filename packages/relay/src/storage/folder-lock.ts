import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MangroveError } from '@mangrove/protocol';

/**
 * Holds a data folder for one process. Two relays on one folder would each tell its own clients of its own commits only, and all
 * of them would believe to be in sync. LMDB itself lets several processes in.
 *
 * The lock is a local socket that somebody listens on: it ends with the process, however the process ends, so a SIGKILL leaves
 * nothing that keeps a restart out. Rejects with `STORAGE_UNAVAILABLE` when another one, or this one, holds the folder.
 */
export async function lockFolder(folder: string): Promise<{ release(): Promise<void> }> {
  const address = addressOf(folder);
  let server = await listen(address);
  if (server === undefined && !(await answers(address))) {
    // Left behind by a process that was killed.
    if (process.platform !== 'win32') unlinkSync(address);
    server = await listen(address);
  }
  if (server === undefined) {
    throw new MangroveError('STORAGE_UNAVAILABLE', { reason: `another relay process uses the data folder ${folder}` });
  }
  const held = server;
  return { release: () => new Promise((resolve) => held.close(() => resolve())) };
}

/** By the folder's real path, in a place where names are short enough for a socket. */
function addressOf(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const name = `mangrove-relay-${createHash('sha256').update(realpathSync(folder)).digest('hex').slice(0, 24)}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
}

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(address, () => {
      // It must not keep a process alive that has nothing else to do.
      server.unref();
      resolve(server);
    });
  });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    const end = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
