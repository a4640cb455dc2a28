import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  byteToRoomConfig,
  deriveRoomId,
  isMangroveError,
  type Plan,
  type RoomConfig,
  type RoomId,
  type RoomRef,
  roomConfigToByte,
  type Store,
} from '@mangrove/protocol';
import { configKeyOf } from '../beginning.js';
import { nodeHash } from '../runtimes/node-crypto.js';
import { lockFolder } from '../storage/folder-lock.js';
import { type LmdbEnvironment, openLmdb } from '../storage/lmdb-store.js';

/** What a command about a folder ends with, beside 0 for all is well and 2 for bad arguments. */
export const EXIT = { problem: 1, unusable: 3 } as const;

/** Ends a command with one line and a code of its own. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A data folder that no relay uses, for as long as a command works on it. */
export interface Folder {
  readonly environment: LmdbEnvironment;
  close(): Promise<void>;
}

/** Throws `CommandError` where there is none, where a relay uses it, and where it is damaged. Makes nothing but what `mayMake` allows. */
export async function openFolder(path: string, { mayMake = false } = {}): Promise<Folder> {
  if (!mayMake && !existsSync(join(path, 'data.mdb'))) {
    throw new CommandError(`there is no data of a relay in ${path}`, EXIT.unusable);
  }
  try {
    const lock = await lockFolder(path);
    try {
      const environment = openLmdb(path);
      let closing: Promise<void> | undefined;
      return { environment, close: () => (closing ??= environment.close().finally(() => lock.release())) };
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    if (!isMangroveError(error)) throw error;
    throw new CommandError(`${error.message.replace(/\.$/, '')}; nothing was changed`, EXIT.unusable);
  }
}

/** A room of the folder. Its name is known only where somebody says it: the folder has hashes. */
export interface FoundRoom {
  readonly ref: RoomRef;
  readonly store: Store;
}

export async function roomsOf({ environment }: Folder): Promise<readonly FoundRoom[]> {
  return await Promise.all(environment.rooms().map(async (roomId) => roomOf(environment, roomId)));
}

async function roomOf(environment: LmdbEnvironment, roomId: RoomId): Promise<FoundRoom> {
  // A room of the default configuration is noted under its own id, any other one under the id that its name would have by default.
  const row = await environment.getMeta(configKeyOf(roomId));
  const history = row === undefined ? 'full' : (byteToRoomConfig(row[0] as number)?.history ?? 'full');
  return { ref: { hash: nodeHash, roomId, history }, store: environment.room(roomId) };
}

/** Undefined where nobody was ever admitted to a room of this name. */
export async function roomNamed(
  { environment }: Folder,
  name: string,
): Promise<(FoundRoom & { readonly config: RoomConfig }) | undefined> {
  const byDefault = deriveRoomId(nodeHash, name, { history: 'current', encrypted: false });
  const row = await environment.getMeta(configKeyOf(byDefault));
  const config = row?.[0] === undefined ? undefined : byteToRoomConfig(row[0]);
  if (config === undefined) return undefined;
  const roomId = deriveRoomId(nodeHash, name, config);
  return { ref: { hash: nodeHash, roomId, history: config.history }, store: environment.room(roomId), config };
}

/** Notes how a room begins, as the first who may write would. */
export async function beginRoom({ environment }: Folder, name: string, config: RoomConfig): Promise<void> {
  const byDefault = deriveRoomId(nodeHash, name, { history: 'current', encrypted: false });
  await environment.putMeta(configKeyOf(byDefault), Uint8Array.of(roomConfigToByte(config)));
}

export function read<Result>(store: Store, plan: Plan<Result>): Promise<Result> {
  return store.transact(plan, { mode: 'read' });
}
