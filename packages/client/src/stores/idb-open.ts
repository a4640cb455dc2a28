import { type IDBPDatabase, unwrap, wrap } from 'idb';
import { MangroveError, TABLES } from '@mangrove/protocol';
import { failureOfPlatform, unavailable } from './places.js';

/** History: 1, one object store a table, and the identities; 2, `vouched` and `incoming`; 3, `tombstones`, `floors` and `trash`; 4, `past` and `merged`. A further table asks for the next number. */
const VERSION = 4;
export const IDENTITIES = 'identities';
const BLOCKED_MS_MAX = 5_000;

export interface OpenHooks {
  /** Whether a database that is not there yet is to be made. */
  mayCreate: boolean;
  /** Another tab upgrades the database, or deletes it: then there is no next version. */
  blocking(next: number | null): void;
  /** What was there could not be read, and the browser has thrown it away: Chromium alone says so. */
  discarded(): void;
  /** The connection is gone, and nobody here has closed it. */
  terminated(): void;
}

/** The site's own databases; undefined where the browser denies them, in one way or another. */
export function siteDatabases(): IDBFactory | undefined {
  try {
    return globalThis.indexedDB ?? undefined;
  } catch {
    return undefined;
  }
}

/** Rejects with `STORAGE_UNAVAILABLE` or `STORAGE_FULL`. */
export async function openDatabase(factory: IDBFactory, name: string, hooks: OpenHooks): Promise<IDBDatabase> {
  let isGone = false;
  const reason = 'another tab holds an older version of the database open';
  const db = await orBlocked(reason, async (blocked) => {
    const request = factory.open(name, VERSION);
    request.onblocked = blocked;
    request.onupgradeneeded = ({ oldVersion, dataLoss }: IDBVersionChangeEvent & { readonly dataLoss?: string }) => {
      if (dataLoss === 'total') hooks.discarded();
      // A database that was there a moment ago was deleted. Made anew it would pass for a new user's, so it is not made.
      isGone = !hooks.mayCreate && oldVersion === 0;
      if (isGone) request.transaction?.abort();
      else createTables(request.result);
    };
    return unwrap(await (wrap(request) as Promise<IDBPDatabase>));
  }).catch((error: unknown) => {
    throw isGone ? unavailable('deleted', 'its data were deleted') : error;
  });
  db.onversionchange = ({ newVersion }) => hooks.blocking(newVersion);
  db.onclose = () => hooks.terminated();
  return db;
}

export async function deleteDatabase(name: string, factory: IDBFactory = indexedDB): Promise<void> {
  await orBlocked('another tab keeps the database from being deleted', async (blocked) => {
    const request = factory.deleteDatabase(name);
    request.onblocked = blocked;
    await wrap(request);
    return undefined;
  });
}

export function toMangroveError(cause: unknown): MangroveError {
  if (cause instanceof MangroveError) return cause;
  if (cause instanceof Error && cause.name === 'QuotaExceededError')
    return new MangroveError('STORAGE_FULL', {}, { cause });
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return unavailable(failureOfPlatform(cause), reason, cause);
}

function createTables(db: IDBDatabase): void {
  for (const table of [...TABLES, IDENTITIES]) {
    if (!db.objectStoreNames.contains(table)) db.createObjectStore(table);
  }
}

/** A blocked request waits for other tabs without an end; after a while the user had better know. */
async function orBlocked<Result extends { close(): void } | undefined>(
  reason: string,
  request: (blocked: () => void) => Promise<Result>,
): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let giveUp: (error: MangroveError) => void = () => {};
  const blocked = new Promise<never>((_, reject) => (giveUp = reject));
  const settled = request(() => {
    timer = setTimeout(() => giveUp(unavailable('blocked', reason)), BLOCKED_MS_MAX);
  });
  try {
    return await Promise.race([settled, blocked]);
  } catch (error) {
    // A database that opens after all must not hold up the tabs that wait for it.
    settled.then((db) => db?.close()).catch(() => {});
    throw toMangroveError(error);
  } finally {
    clearTimeout(timer);
  }
}
