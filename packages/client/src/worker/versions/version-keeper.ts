import {
  assertName,
  deriveKeyId,
  equalBytes,
  type KeyId,
  makeVersionId,
  MangroveError,
  packVersion,
  readJournalOf,
  recordPayloadToBytes,
  unpackVersion,
  type Value,
  valueToBytes,
  valueToVersionRow,
  VERSION_PARTS,
  versionPartId,
  versionPrefix,
  type VersionRow,
  versionRowToValue,
  VERSIONS,
} from '@mangrove/protocol';
import { deflate } from '../../deflate.js';
import type { Environment } from '../../environment.js';
import type { Version } from '../../types.js';
import { readDocument } from '../documents.js';
import type { VersionKey, VersionsPage, WriteResult } from '../engine-api.js';
import { readEntries, readRecord, recordName } from '../records.js';
import type { RuntimeOptions } from '../runtime-options.js';
import { FullHistory } from './full-history.js';
import { Tail } from './tail.js';
import { idToPlace, isBelow, isTold, type Place, placeOfSaved, type Told } from './told.js';

/** Of the versions that are saved before another one is restored, so many are kept for a key. */
const AUTOMATIC_MAX = 20;

export interface VersionsHost {
  readonly env: Environment;
  readonly options: RuntimeOptions;
  /** As the page writes; without a payload the record is deleted. Writes keep their order. */
  put(collection: string, id: string, payload: Uint8Array | undefined): Promise<WriteResult>;
}

interface Saved {
  readonly id: string;
  readonly row: VersionRow;
  readonly replica: string;
}

/** The versions of the keys of one room: what was saved, as records [VS1], and what the tail of a document still tells [VS5]. */
export class VersionKeeper {
  readonly #host: VersionsHost;

  constructor(host: VersionsHost) {
    this.#host = host;
  }

  /** A page, newest first. Throws `VERSION_UNAVAILABLE` where there is none of the id behind which it is to begin. */
  async list(key: VersionKey, { limit, after }: VersionsPage): Promise<readonly Version[]> {
    const saved = (await this.#readSaved(key)).map(toVersion);
    const below = after === undefined ? undefined : placeOf(saved.find(({ id }) => id === after) ?? { id: after });
    const told = (await this.#told(key)?.list(limit, below)) ?? [];
    const all = [...saved, ...told].map((version) => ({ version, place: placeOf(version) }));
    return all
      .filter(({ place }) => below === undefined || isBelow(place, below))
      .sort((a, b) => (isBelow(a.place, b.place) ? 1 : -1))
      .slice(0, limit)
      .map(({ version }) => version);
  }

  /** How the key reads now, under a name. Throws `NAME_INVALID`, `BODY_TOO_LARGE`. */
  async save(key: VersionKey, name: string): Promise<Version> {
    assertName('version', name);
    return this.#write(key, await this.#readNow(key), { at: this.#nowMs(), kind: 'named', name });
  }

  /** Names what was saved without one, or names it anew; a state that only the tail tells is saved by that. */
  async name(key: VersionKey, id: string, name: string): Promise<Version> {
    assertName('version', name);
    if (isTold(id)) {
      const { state, atMs } = await this.#readTold(key, id);
      return this.#write(key, state, { at: atMs, kind: 'named', name });
    }
    const saved = await this.#find(key, id);
    const row: VersionRow = { ...saved.row, kind: 'named', name };
    await this.#putRow(key, id, row);
    return toVersion({ ...saved, row });
  }

  /** The state of a version; of a record without bytes where it was deleted. Throws `VERSION_UNAVAILABLE`. */
  async read(key: VersionKey, id: string): Promise<Uint8Array> {
    const { store, config, identity } = this.#host.options;
    const { room } = config;
    const keyId = this.#keyIdOf(key);
    if (isTold(id)) return (await this.#readTold(key, id)).state;
    const { row } = await this.#find(key, id);
    const parts = await store.transact(
      function* (tx) {
        const values: (Value | undefined)[] = [];
        for (let n = 0; n < row.parts; n++) {
          const name = recordName(VERSION_PARTS, versionPartId(keyId, id, n));
          values.push((yield* readRecord(tx, room, identity.replica, name, 'lww'))?.value);
        }
        return values;
      },
      { mode: 'read' },
    );
    return unpackVersion(room.hash, keyId, id, row, parts);
  }

  /** Saves how the key reads now without a name, unless the newest version is just that; the oldest of these make room [VS4]. */
  async keep(key: VersionKey): Promise<void> {
    if (await this.#isInHistory(key)) return;
    const state = await this.#readNow(key);
    const saved = await this.#readSaved(key);
    const { room } = this.#host.options.config;
    const { row } = packVersion(room.hash, this.#keyIdOf(key), state, deflate);
    if (saved[0] !== undefined && equalBytes(saved[0].row.hash, row.hash)) return;
    await this.#write(key, state, { at: this.#nowMs(), kind: 'automatic', name: null });
    const automatic = saved.filter((one) => one.row.kind === 'automatic');
    for (const { id } of automatic.slice(AUTOMATIC_MAX - 1)) await this.delete(key, id);
  }

  /** Whether all that was written of it is there for good: what is not sealed yet is merged with what comes next. */
  async #isInHistory(key: VersionKey): Promise<boolean> {
    const { store, config } = this.#host.options;
    if (config.roomConfig.history !== 'full') return false;
    return (await store.transact((tx) => readJournalOf(tx, this.#keyIdOf(key)), { mode: 'read' })).length === 0;
  }

  /** Throws `VERSION_UNAVAILABLE` for what is not saved. */
  async delete(key: VersionKey, id: string): Promise<WriteResult> {
    const { row } = await this.#find(key, id);
    const keyId = this.#keyIdOf(key);
    const listed = this.#host.put(VERSIONS, `${versionPrefix(keyId)}${id}`, undefined);
    const parts = Array.from({ length: row.parts }, (_, n) =>
      this.#host.put(VERSION_PARTS, versionPartId(keyId, id, n), undefined),
    );
    const [written] = await Promise.all([listed, ...parts]);
    return written;
  }

  /** The parts first: what is listed can be read. */
  async #write(key: VersionKey, state: Uint8Array, meta: Pick<VersionRow, 'at' | 'kind' | 'name'>): Promise<Version> {
    const { config, identity } = this.#host.options;
    const keyId = this.#keyIdOf(key);
    const packed = packVersion(config.room.hash, keyId, state, deflate);
    const id = makeVersionId(this.#nowMs(), this.#host.env.random);
    const row: VersionRow = { ...packed.row, ...meta };
    const parts = packed.parts.map((part, n) =>
      this.#host.put(VERSION_PARTS, versionPartId(keyId, id, n), payloadOf(part)),
    );
    await Promise.all([...parts, this.#putRow(key, id, row)]);
    return toVersion({ id, row, replica: identity.replica });
  }

  #putRow(key: VersionKey, id: string, row: VersionRow): Promise<WriteResult> {
    const listed = `${versionPrefix(this.#keyIdOf(key))}${id}`;
    return this.#host.put(VERSIONS, listed, payloadOf(versionRowToValue(row)));
  }

  async #readNow(key: VersionKey): Promise<Uint8Array> {
    const { store, config, identity } = this.#host.options;
    const { room } = config;
    if (key.kind === 'document') return readDocument(store, room, key.id);
    const name = recordName(key.collection, key.id);
    const entry = await store.transact((tx) => readRecord(tx, room, identity.replica, name, key.resolver), {
      mode: 'read',
    });
    return entry === undefined ? new Uint8Array() : valueToBytes(entry.value);
  }

  /** Newest first. What somebody wrote there that is no version is passed over. */
  async #readSaved(key: VersionKey): Promise<readonly Saved[]> {
    const { store, config, identity } = this.#host.options;
    const prefix = versionPrefix(this.#keyIdOf(key));
    const entries = await store.transact(
      (tx) => readEntries(tx, config.room, identity.replica, VERSIONS, 'lww', { prefix, reverse: true }),
      { mode: 'read' },
    );
    return entries.flatMap(([id, { value, siblings }]) => {
      const row = valueToVersionRow(value);
      return row === undefined ? [] : [{ id: id.slice(prefix.length), row, replica: siblings[0]?.replica ?? '' }];
    });
  }

  async #find(key: VersionKey, id: string): Promise<Saved> {
    const saved = (await this.#readSaved(key)).find((one) => one.id === id);
    if (saved === undefined) throw new MangroveError('VERSION_UNAVAILABLE', { id, reason: 'there is none of this id' });
    return saved;
  }

  /** Undefined where nothing is told but what is saved. */
  #told(key: VersionKey): Told | undefined {
    const { store, config } = this.#host.options;
    const keyId = this.#keyIdOf(key);
    if (config.roomConfig.history === 'full') return new FullHistory(store, config.room, keyId, key.kind);
    return key.kind === 'document' ? new Tail(store, config.room, keyId) : undefined;
  }

  async #readTold(key: VersionKey, id: string): Promise<{ readonly state: Uint8Array; readonly atMs: number }> {
    const place = idToPlace(id);
    const told = place && (await this.#told(key)?.read(place));
    if (told === undefined)
      throw new MangroveError('VERSION_UNAVAILABLE', { id, reason: 'no deltas tell it, or they were merged since' });
    return told;
  }

  #nowMs(): number {
    return Math.max(0, Math.floor(this.#host.env.clock.nowMs()));
  }

  #keyIdOf({ kind, collection, id }: VersionKey): KeyId {
    const { hash, roomId } = this.#host.options.config.room;
    return deriveKeyId(hash, roomId, { kind, collection, id });
  }
}

const payloadOf = (value: Value): Uint8Array => recordPayloadToBytes({ value: valueToBytes(value) });

/** Throws `VERSION_UNAVAILABLE` for what is neither saved nor an id of what is told. */
function placeOf({ id, atMs }: Pick<Version, 'id'> & Partial<Version>): Place {
  const place = isTold(id) ? idToPlace(id) : atMs === undefined ? undefined : { ...placeOfSaved(atMs), replica: id };
  if (place === undefined) throw new MangroveError('VERSION_UNAVAILABLE', { id, reason: 'there is none of this id' });
  return place;
}

function toVersion({ id, row, replica }: Saved): Version {
  const { at, bytes, kind, name } = row;
  return { id, kind, name, atMs: at, replica, bytes };
}
