import {
  bodyOfDelta,
  bytesToHex,
  bytesToKeyId,
  type Delta,
  type DeltaId,
  deriveKeyId,
  hlcToMs,
  isMangroveError,
  KEY_ID_BYTES,
  type KeyId,
  type KeyName,
  listQuarantine,
  nameOfKey,
  readPutAside,
  readQuarantined,
  type RoomRef,
  type Row,
  type Steps,
  type Transaction,
} from '@mangrove/protocol';
import type { QuarantineEntry, QuarantineFacts } from '../types.js';

const DELTA_ID = /^[0-9a-f]{64}$/;
/** Names looked at in one step. */
const PAGE = 1_024;

/** A page of what is set aside: the deltas in the order of their ids, and then what is left of rows. */
export function* readQuarantinePage(
  tx: Transaction,
  room: RoomRef,
  limit: number,
  after: string | undefined,
): Steps<readonly QuarantineEntry[]> {
  const entries: QuarantineEntry[] = [];
  if (after === undefined || DELTA_ID.test(after)) {
    // One by one: a page of the largest bodies would be hundreds of megabytes.
    for (const id of yield* listQuarantine(tx, limit, after as DeltaId | undefined)) {
      const held = yield* readQuarantined(tx, room, id);
      if (held === undefined) continue;
      const { delta, fault, sinceMs } = held;
      const facts: QuarantineFacts = {
        id,
        code: fault,
        replica: delta.replica,
        writtenAtMs: hlcToMs(delta.writtenAt),
        sinceMs: sinceMs ?? null,
        bytes: delta.bytes.length,
      };
      entries.push(entryOf(facts, nameOfDelta(room, delta)));
    }
  }
  if (entries.length === limit) return entries;
  const aside = yield* readPutAside(tx);
  const from =
    after === undefined || DELTA_ID.test(after) ? 0 : aside.findIndex(([key]) => bytesToHex(key) === after) + 1;
  const rows = aside.slice(from, from + limit - entries.length);
  const names = yield* readNames(tx, new Set(rows.map(keyIdOf)));
  for (const row of rows) {
    const [key, bytes] = row;
    const facts: QuarantineFacts = {
      id: bytesToHex(key),
      code: 'STORAGE_DAMAGED',
      replica: null,
      writtenAtMs: null,
      sinceMs: null,
      bytes: bytes.length,
    };
    entries.push(entryOf(facts, names.get(keyIdOf(row))));
  }
  return entries;
}

/** The bytes of an entry; undefined where it is not there any more. */
export function* readQuarantinedBytes(tx: Transaction, room: RoomRef, id: string): Steps<Uint8Array | undefined> {
  if (DELTA_ID.test(id)) return (yield* readQuarantined(tx, room, id as DeltaId))?.delta.bytes;
  return (yield* readPutAside(tx)).find(([key]) => bytesToHex(key) === id)?.[1];
}

function entryOf(facts: QuarantineFacts, name: KeyName | undefined): QuarantineEntry {
  if (name === undefined) return { ...facts, kind: 'unknown' };
  if (name.kind === 'document') return { ...facts, kind: 'document', document: name.id };
  return { ...facts, kind: 'record', collection: name.collection, record: name.id };
}

/** As the delta says, where that is its key's name. */
function nameOfDelta({ hash, roomId }: RoomRef, delta: Delta): KeyName | undefined {
  try {
    const { name } = bodyOfDelta(delta);
    return deriveKeyId(hash, roomId, name) === delta.keyId ? name : undefined;
  } catch (error) {
    if (isMangroveError(error)) return undefined;
    throw error;
  }
}

/** The key of a journal row, as that of a delta, begins with the key that it is of. */
const keyIdOf = ([key]: Row): KeyId => bytesToKeyId(key.subarray(0, KEY_ID_BYTES));

/** What is left of a row need not tell its name, but the list of names does. Rows like these are few. */
function* readNames(tx: Transaction, keyIds: ReadonlySet<KeyId>): Steps<ReadonlyMap<KeyId, KeyName>> {
  const names = new Map<KeyId, KeyName>();
  for (let from = new Uint8Array(); names.size < keyIds.size; ) {
    const rows = yield* tx.rows('names', { from, limit: PAGE });
    for (const [key, row] of rows) {
      const keyId = row.length === KEY_ID_BYTES ? bytesToKeyId(row) : undefined;
      if (keyId !== undefined && keyIds.has(keyId)) names.set(keyId, nameOfKey(key));
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) break;
    from = new Uint8Array([...last[0], 0]);
  }
  return names;
}
