import type { Limits } from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { Backups } from './backup/backups.js';
import type { EngineApi } from './engine-api.js';
import { readQuarantinedBytes, readQuarantinePage } from './quarantine-reader.js';
import { Rooms } from './rooms.js';
import type { VersionKeeper, VersionsHost } from './versions/version-keeper.js';

/** All rooms of one client in one tab's worker. */
export function createEngine(env: Environment, databaseName: string, limits: Limits): EngineApi {
  const rooms = new Rooms(env, databaseName, limits);
  let backups: Promise<Backups> | undefined;

  /** Loaded with the first backup: few pages ever make one. */
  const loadBackups = (): Promise<Backups> => {
    backups ??= import('./on-demand.js').then(
      (module) => new module.Backups({ hash: env.hash, borrow: (name, history) => rooms.borrow(name, history) }),
    );
    return backups;
  };

  /** Loaded when an application first asks for earlier states. */
  const keep = async <Answer>(name: string, use: (keeper: VersionKeeper) => Promise<Answer>): Promise<Answer> => {
    const { VersionKeeper } = await import('./on-demand.js');
    return rooms.ask(name, ({ writes, backupHost: { options } }) => {
      const put: VersionsHost['put'] = (collection, id, payload) => writes.put(collection, id, payload);
      return use(new VersionKeeper({ env, options, put }));
    });
  };

  return {
    openRoom: async (options, listener) => (await rooms.open(options, listener)).status,
    closeRoom: (name) => rooms.close(name),
    pause: (name, paused) => rooms.pause(name, paused),
    vitals: (name) => rooms.ask(name, (room) => room.vitals()),
    openDocument: (name, document) => rooms.ask(name, (room) => room.openDocument(document)),
    closeDocument: (name, document) => rooms.ask(name, (room) => room.closeDocument(document)),
    edit: (name, document, edit) => rooms.ask(name, (room) => room.writes.edit(document, edit)),
    presence: (name, document, state) => rooms.ask(name, (room) => room.presence(document, state)),
    put: (name, collection, id, value) => rooms.ask(name, (room) => room.writes.put(collection, id, value)),
    get: (name, collection, id, resolver) => rooms.ask(name, (room) => room.collections.get(collection, id, resolver)),
    entries: (name, collection, resolver, options) =>
      rooms.ask(name, (room) => room.collections.entries(collection, resolver, options)),
    watch: (name, collection, resolver) => rooms.ask(name, (room) => room.collections.watch(collection, resolver)),
    trash: (name, limit, after) => rooms.ask(name, (room) => room.trash.list(limit, after)),
    recover: (name, entry) => rooms.ask(name, (room) => room.trash.recover(entry)),
    emptyTrash: (name, entries) => rooms.ask(name, (room) => room.trash.empty(entries)),
    quarantine: (name, limit, after) =>
      rooms.ask(name, (room) => room.look((tx, ref) => readQuarantinePage(tx, ref, limit, after))),
    exportQuarantined: (name, entry) =>
      rooms.ask(name, (room) => room.look((tx, ref) => readQuarantinedBytes(tx, ref, entry))),
    synced: (name, wait) => rooms.ask(name, (room) => room.synced(wait)),
    reached: (name, wait) => rooms.ask(name, (room) => room.reached(wait)),
    cancel: (name, wait) => rooms.ask(name, (room) => room.cancel(wait)),
    versions: (name, key, page) => keep(name, (keeper) => keeper.list(key, page)),
    saveVersion: (name, key, version) => keep(name, (keeper) => keeper.save(key, version)),
    nameVersion: (name, key, id, version) => keep(name, (keeper) => keeper.name(key, id, version)),
    readVersion: (name, key, id) => keep(name, (keeper) => keeper.read(key, id)),
    keepVersion: (name, key) => keep(name, (keeper) => keeper.keep(key)),
    deleteVersion: (name, key, id) => keep(name, (keeper) => keeper.delete(key, id)),
    backup: async (name, since) => {
      const all = await loadBackups();
      return rooms.ask(name, (room) => all.begin(room.backupHost, since));
    },
    readBackup: async (stream) => (await loadBackups()).read(stream),
    restore: async () => (await loadBackups()).beginRestore(),
    writeRestore: async (stream, bytes) => (await loadBackups()).write(stream, bytes),
    endRestore: async (stream) => (await loadBackups()).end(stream),
    dropStream: async (stream) => (await loadBackups()).drop(stream),
    shutDown: (deleteData) => rooms.shutDown(deleteData),
  };
}
