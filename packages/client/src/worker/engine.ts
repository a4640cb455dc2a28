import {
  deriveRoomId,
  errorToFacts,
  HealingStore,
  type Limits,
  MangroveError,
  type ReplicaId,
  type RoomConfig,
} from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { Database } from '../stores/database.js';
import type { BorrowedRoom } from './backup/backup-host.js';
import type { Backups } from './backup/backups.js';
import type { EngineApi, RoomListener, RoomOptions } from './engine-api.js';
import { RoomRuntime } from './room-runtime.js';
import type { VersionKeeper, VersionsHost } from './versions/version-keeper.js';

/** The one configuration that this version builds; it is bound into the room's id. */
const ROOM_CONFIG: RoomConfig = { history: 'current', encrypted: false };

/** Of a room that no page has open. */
const NOBODY: RoomListener = {
  status: () => {},
  updates: () => {},
  changes: () => {},
  peerPresence: () => {},
  peersGone: () => {},
  presenceWanted: () => {},
  reopened: () => {},
  token: async () => undefined,
};

/** All rooms of one client in one tab's worker. */
export function createEngine(env: Environment, databaseName: string, limits: Limits): EngineApi {
  const rooms = new Map<string, Promise<RoomRuntime>>();
  let database: Promise<Database> | undefined;
  let backups: Promise<Backups> | undefined;

  const room = async (name: string): Promise<RoomRuntime> => {
    const runtime = rooms.get(name);
    if (runtime === undefined) throw new MangroveError('CLOSED', { what: 'room' });
    return runtime;
  };

  const openDatabase = (): Promise<Database> => {
    database ??= env.openDatabase(databaseName, (error) => {
      for (const runtime of rooms.values()) void runtime.then((open) => open.storageLost(errorToFacts(error)));
    });
    return database;
  };

  const openRoom = async (options: RoomOptions, listener: RoomListener, spent?: ReplicaId): Promise<RoomRuntime> => {
    const roomId = deriveRoomId(env.hash, options.room, ROOM_CONFIG);
    const open = await openDatabase();
    const identity = await env.openIdentity(open, roomId, spent);
    const runtime = await RoomRuntime.open(
      env,
      {
        ...options,
        config: { room: { hash: env.hash, roomId }, roomConfig: ROOM_CONFIG, limits },
        identity,
        store: new HealingStore(open.room(roomId), { hash: env.hash, roomId }),
        storage: open.isPersistent ? 'indexeddb' : 'memory',
        database: databaseName,
        reopen: (replica) => reopenRoom(options, listener, replica),
      },
      listener,
    );
    // Another tab may have taken a new identity in the meantime; then this one is opened under it too.
    if ((await env.openIdentity(open, roomId)).replica === identity.replica) return runtime;
    await runtime.close();
    return openRoom(options, listener);
  };

  const reopenRoom = (options: RoomOptions, listener: RoomListener, spent: ReplicaId): void => {
    const former = rooms.get(options.room);
    if (former === undefined) return;
    const opening = (async () => {
      await (await former).close();
      const runtime = await openRoom(options, listener, spent);
      runtime.fault(errorToFacts(new MangroveError('DOT_REUSED', { replica: spent, seq: 'of an acknowledged delta' })));
      return runtime;
    })();
    rooms.set(options.room, opening);
    opening.then(() => listener.reopened(), reportError);
  };

  /** Loaded with the first backup: few pages ever make one. */
  const loadBackups = (): Promise<Backups> => {
    backups ??= import('./backup/backups.js').then(
      (module) => new module.Backups({ hash: env.hash, config: ROOM_CONFIG, borrow: (name) => borrow(name) }),
    );
    return backups;
  };

  /** Loaded when an application first asks for earlier states. */
  const keeper = async (name: string): Promise<VersionKeeper> => {
    const { VersionKeeper } = await import('./versions/version-keeper.js');
    const { writes, backupHost } = await room(name);
    const put: VersionsHost['put'] = (collection, id, payload) => writes.put(collection, id, payload);
    return new VersionKeeper({ env, options: backupHost.options, put });
  };

  /** A room that is not open on this page is opened for as long as it takes, without a network. */
  const borrow = async (name: string, spent?: ReplicaId): Promise<BorrowedRoom> => {
    const opened = rooms.get(name);
    const runtime = await (opened ?? openRoom({ room: name, relays: [] }, NOBODY, spent));
    const host = runtime.backupHost;
    const release = async (): Promise<void> => (opened === undefined ? runtime.close() : undefined);
    const renewed = async (): Promise<BorrowedRoom> => {
      const { replica } = host.options.identity;
      // All tabs open the room anew, this one before it is borrowed again.
      host.tell({ kind: 'identity-spent', replica });
      await release();
      return borrow(name, replica);
    };
    return { host, release, renewed };
  };

  const closeRoom = async (name: string): Promise<void> => {
    const runtime = rooms.get(name);
    rooms.delete(name);
    await (await runtime)?.close();
  };

  return {
    openRoom: async (options, listener) => {
      const opening = openRoom(options, listener);
      rooms.set(options.room, opening);
      // A room that could not be opened can be tried again.
      opening.catch(() => rooms.delete(options.room));
      return (await opening).status;
    },
    closeRoom,
    pause: async (name, paused) => (await room(name)).pause(paused),
    openDocument: async (name, document) => (await room(name)).openDocument(document),
    closeDocument: async (name, document) => (await room(name)).closeDocument(document),
    edit: async (name, document, edit) => (await room(name)).writes.edit(document, edit),
    presence: async (name, document, state) => (await room(name)).presence(document, state),
    put: async (name, collection, id, value) => (await room(name)).writes.put(collection, id, value),
    get: async (name, collection, id, resolver) => (await room(name)).collections.get(collection, id, resolver),
    entries: async (name, collection, resolver, options) =>
      (await room(name)).collections.entries(collection, resolver, options),
    watch: async (name, collection, resolver) => (await room(name)).collections.watch(collection, resolver),
    trash: async (name, limit, after) => (await room(name)).trash.list(limit, after),
    recover: async (name, entry) => (await room(name)).trash.recover(entry),
    emptyTrash: async (name, entries) => (await room(name)).trash.empty(entries),
    synced: async (name, wait) => (await room(name)).synced(wait),
    reached: async (name, wait) => (await room(name)).reached(wait),
    cancel: async (name, wait) => (await room(name)).cancel(wait),
    versions: async (name, key) => (await keeper(name)).list(key),
    saveVersion: async (name, key, version) => (await keeper(name)).save(key, version),
    nameVersion: async (name, key, id, version) => (await keeper(name)).name(key, id, version),
    readVersion: async (name, key, id) => (await keeper(name)).read(key, id),
    keepVersion: async (name, key) => (await keeper(name)).keep(key),
    deleteVersion: async (name, key, id) => (await keeper(name)).delete(key, id),
    backup: async (name, since) => (await loadBackups()).begin((await room(name)).backupHost, since),
    readBackup: async (stream) => (await loadBackups()).read(stream),
    restore: async () => (await loadBackups()).beginRestore(),
    writeRestore: async (stream, bytes) => (await loadBackups()).write(stream, bytes),
    endRestore: async (stream) => (await loadBackups()).end(stream),
    dropStream: async (stream) => (await loadBackups()).drop(stream),
    shutDown: async (deleteData) => {
      await Promise.all([...rooms.keys()].map(closeRoom));
      const open = await database;
      if (deleteData) await (open ?? (await openDatabase())).deleteAll();
      else await open?.close();
      database = undefined;
    },
  };
}
