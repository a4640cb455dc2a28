import {
  bodyOfDelta,
  bytesToRecordPayload,
  bytesToValue,
  type Delta,
  type Edit,
  FLAG,
  hlcToMs,
  type KeyName,
  MangroveError,
  nameToTrashed,
  pruneTrash,
  readTrash,
  readTrashed,
  recordPayloadToBytes,
  type RoomRef,
  type Store,
  type Swept,
  takeFromTrash,
  type Trashed,
  trashedToName,
  updateOfDelta,
} from '@mangrove/protocol';
import type { TrashEntry, TrashFacts } from '../types.js';
import type { WriteResult } from './engine-api.js';
import { inspectDelta } from './inspect.js';

const PRUNE_ROWS_MAX = 1_024;
const STRICT = { mode: 'write', durability: 'strict' } as const;

/** What floors have taken, as the page of any tab sees it [FL15]. Nothing of it is kept in memory, so that tabs need not tell each other. */
export class Trash {
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #write: (edit: Edit) => Promise<WriteResult>;

  constructor(store: Store, room: RoomRef, write: (edit: Edit) => Promise<WriteResult>) {
    this.#store = store;
    this.#room = room;
    this.#write = write;
  }

  async list(limit: number, after: string | undefined): Promise<readonly TrashEntry[]> {
    const from = after ? nameToTrashed(after) : undefined;
    const page = await this.#store.transact((tx) => readTrash(tx, this.#room, limit, from), { mode: 'read' });
    return page.map((one) => this.#entryOf(one));
  }

  /** Rejects: `NOT_IN_TRASH`, also where another tab was quicker; `UNDECODABLE`; as any write does. */
  async recover(id: string): Promise<WriteResult> {
    const place = nameToTrashed(id);
    const trashed = await this.#store.transact((tx) => readTrashed(tx, this.#room, place.trieKey), { mode: 'read' });
    if (trashed === undefined) throw new MangroveError('NOT_IN_TRASH');
    const { delta } = trashed;
    const { name, fault } = inspectDelta(this.#room, delta);
    if (name === undefined || fault !== undefined)
      throw new MangroveError('UNDECODABLE', { replica: delta.replica, reason: 'its body cannot be decoded' });
    return this.#write({ ...editOf(name, delta), recovers: place });
  }

  /** What comes into it meanwhile may stay. */
  async empty(ids: readonly string[] | undefined): Promise<void> {
    if (ids) {
      const places = ids.map(nameToTrashed);
      await this.#store.transact(function* (tx) {
        for (const place of places) yield* takeFromTrash(tx, place);
      }, STRICT);
      return;
    }
    for (let pruned = PRUNE_ROWS_MAX; pruned === PRUNE_ROWS_MAX; )
      pruned = await this.#store.transact((tx) => pruneTrash(tx, Number.MAX_SAFE_INTEGER, PRUNE_ROWS_MAX), STRICT);
  }

  #entryOf(trashed: Trashed & Swept): TrashEntry {
    const { delta, sinceMs: trashedAtMs, why, by: collectedBy } = trashed;
    const { name, fault } = inspectDelta(this.#room, delta);
    const facts: TrashFacts = {
      id: trashedToName(trashed),
      replica: delta.replica,
      writtenAtMs: hlcToMs(delta.writtenAt),
      trashedAtMs,
      bytes: delta.body.length,
      why,
      collectedBy,
    };
    if (name === undefined || fault !== undefined) return { ...facts, kind: 'unreadable' };
    if (name.kind === 'document') return { ...facts, kind: 'document', document: name.id };
    const { collection, id: record } = name;
    return { ...facts, kind: 'record', collection, record, value: bytesToValue(valueBytesOf(delta)) };
  }
}

/** As a write of now. What others have added to a document is vouched for by who recovers it; a record is written over what is there. */
function editOf(name: KeyName, delta: Delta): Edit {
  if (name.kind === 'document') return { name, flags: FLAG.import, nonces: [], payload: updateOfDelta(delta) };
  return { name, flags: 0, nonces: [], payload: recordPayloadToBytes({ value: valueBytesOf(delta) }) };
}

const valueBytesOf = (delta: Delta): Uint8Array => bytesToRecordPayload(bodyOfDelta(delta).payload).value;
