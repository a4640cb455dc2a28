import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cleanRoom, defaultLimits } from '@mangrove/protocol';
import type { Folder } from './folder.js';

const ROWS_MAX = 4_096;

/** Forgets what has outlived its time in every room, and writes the database anew without its free pages. It takes as much disk again while it works. */
export async function compact(folder: Folder, path: string): Promise<readonly string[]> {
  const { environment } = folder;
  const file = join(path, 'data.mdb');
  const before = (await stat(file)).size;
  const nowMs = Date.now();
  for (const roomId of environment.rooms()) {
    const store = environment.room(roomId);
    const options = { mode: 'write', durability: 'relaxed' } as const;
    while (await store.transact((tx) => cleanRoom(tx, nowMs, defaultLimits, ROWS_MAX), options));
  }
  const fresh = join(path, 'compacted');
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh);
  await environment.copyTo(fresh);
  // Only now, and in one step: whatever stops this leaves one whole database or the other.
  await folder.close();
  await rename(join(fresh, 'data.mdb'), file);
  await rm(fresh, { recursive: true, force: true });
  const after = (await stat(file)).size;
  return [`${environment.path}: ${before} bytes before, ${after} after`];
}
