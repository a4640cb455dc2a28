import {
  assertNames,
  type BuiltInResolver,
  builtInResolvers,
  bodyOfDelta,
  bytesToRecordPayload,
  bytesToValue,
  compareBytes,
  compareNewestFirst,
  covers,
  type Delta,
  deriveKeyId,
  FLAG,
  hasFlag,
  isMangroveError,
  KEY_ID_BYTES,
  keyAfter,
  type KeyName,
  type KeyState,
  collectionPrefix,
  prefixEnd,
  readableRecords,
  readKeyState,
  readKeyStates,
  type ReplicaId,
  type RoomRef,
  type Row,
  type SiblingValue,
  type Steps,
  type Transaction,
  type Value,
  bytesToKeyId,
  bytesToUtf8,
  concatBytes,
  utf8ToBytes,
} from '@mangrove/protocol';
import { type Resolved, resolvedToEntry } from '../listing.js';
import type { EntriesOptions, Entry } from '../types.js';

/** Names that a listing looks at in one go at least: some may be of what was deleted. */
const PAGE_MIN = 128;

/**
 * A record as it reads: siblings and the newest unsealed row, resolved. Undefined where nothing was written or all is deleted.
 * A quarantined sibling counts as absent in reading, and what it alone superseded does not [CX8].
 */
export function* readRecord(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  name: KeyName,
  resolver: BuiltInResolver,
): Steps<Entry<Value> | undefined> {
  const state = yield* readKeyState(tx, room, deriveKeyId(room.hash, room.roomId, name));
  const [readable] = yield* readableRecords(tx, room, [state]);
  return resolveRecord(readable ?? state, replica, resolver);
}

/** The records of a collection in the order of their ids' UTF-8 bytes. */
export function* readEntries(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  collection: string,
  resolver: BuiltInResolver,
  options: EntriesOptions,
): Steps<readonly (readonly [string, Entry<Value>])[]> {
  const records = yield* readListing(tx, room, replica, collection, resolver, options);
  return records.map(([id, resolved]) => [id, resolvedToEntry(resolved)]);
}

/** The same, as it is told to a page. */
export function* readListing(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  collection: string,
  resolver: BuiltInResolver,
  options: EntriesOptions,
): Steps<readonly (readonly [string, Resolved])[]> {
  const prefix = collectionPrefix('record', collection);
  const { from, to } = rangeOf(prefix, options);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const reverse = options.reverse ?? false;
  const entries: (readonly [string, Resolved])[] = [];
  let low = from;
  let high = to;
  while (entries.length < limit) {
    // All at once where all are wanted, as then they are passed once.
    const page = limit === Number.POSITIVE_INFINITY ? undefined : Math.max(limit - entries.length, PAGE_MIN);
    const rows = yield* tx.rows('names', { from: low, to: high, limit: page, reverse });
    const states = yield* readNamed(tx, room, rows);
    for (const [i, [key]] of rows.entries()) {
      const entry = resolveSiblings(states[i] as KeyState, replica, resolver);
      if (entry !== undefined && entries.length < limit)
        entries.push([bytesToUtf8(key.subarray(prefix.length)), entry]);
    }
    const last = rows.at(-1);
    if (last === undefined || page === undefined || rows.length < page) break;
    if (reverse) high = last[0];
    else low = keyAfter(last[0]);
  }
  return entries;
}

/** A name that leads to nothing may have been led astray by a disk; all others are as good as looked at. */
function* readNamed(tx: Transaction, room: RoomRef, rows: readonly Row[]): Steps<readonly KeyState[]> {
  for (const [key, row] of rows) if (row.length !== KEY_ID_BYTES) assertNames(room, key, row);
  const states = yield* readKeyStates(
    tx,
    room,
    rows.map(([, row]) => bytesToKeyId(row)),
  );
  for (const [i, [key, row]] of rows.entries()) {
    const { deltas, rows: journaled } = states[i] as KeyState;
    if (deltas.length + journaled.length === 0) assertNames(room, key, row);
  }
  return yield* readableRecords(tx, room, states);
}

export function resolveRecord(
  state: KeyState,
  replica: ReplicaId,
  resolver: BuiltInResolver,
): Entry<Value> | undefined {
  const resolved = resolveSiblings(state, replica, resolver);
  return resolved && resolvedToEntry(resolved);
}

function resolveSiblings(state: KeyState, replica: ReplicaId, resolver: BuiltInResolver): Resolved | undefined {
  const siblings = siblingValues(state, replica).sort(compareNewestFirst);
  const value = builtInResolvers[resolver](siblings);
  if (value === undefined) return undefined;
  return { siblings, shown: siblings.findIndex((sibling) => sibling.value === value) };
}

export function recordName(collection: string, id: string): KeyName {
  return { kind: 'record', collection, id };
}

/** Unsealed rows of a key saw each other and all siblings but those that came later; what a row has seen is not shown beside it. */
function siblingValues(state: KeyState, replica: ReplicaId): SiblingValue<Value>[] {
  const row = state.rows.at(-1);
  const values: SiblingValue<Value>[] = [];
  for (const delta of state.deltas) {
    const isSeen = row !== undefined && (delta.replica === replica || hasSeen(state, delta));
    const value = isSeen ? undefined : valueOfDelta(delta);
    if (value !== undefined) values.push(value);
  }
  if (row !== undefined) {
    const isTombstone = hasFlag(row, FLAG.tombstone);
    const bytes = isTombstone ? new Uint8Array() : bytesToRecordPayload(row.payload).value;
    values.push({ value: isTombstone ? undefined : bytesToValue(bytes), replica, writtenAt: row.writtenAt, bytes });
  }
  return values;
}

function hasSeen(state: KeyState, delta: Delta): boolean {
  return state.rows.some(({ context }) => covers(context, delta));
}

function valueOfDelta(delta: Delta): SiblingValue<Value> | undefined {
  const { replica, writtenAt } = delta;
  if (hasFlag(delta, FLAG.tombstone)) return { value: undefined, replica, writtenAt, bytes: new Uint8Array() };
  try {
    const bytes = bytesToRecordPayload(bodyOfDelta(delta).payload).value;
    return { value: bytesToValue(bytes), replica, writtenAt, bytes };
  } catch (error) {
    if (isMangroveError(error)) return undefined;
    throw error;
  }
}

function rangeOf(prefix: Uint8Array, options: EntriesOptions): { from: Uint8Array; to: Uint8Array | undefined } {
  const within = concatBytes(prefix, utf8ToBytes(options.prefix ?? ''));
  const bounds = { from: within, to: prefixEnd(within) };
  const from = options.from === undefined ? undefined : concatBytes(prefix, utf8ToBytes(options.from));
  const to = options.to === undefined ? undefined : concatBytes(prefix, utf8ToBytes(options.to));
  return {
    from: from !== undefined && compareBytes(from, bounds.from) > 0 ? from : bounds.from,
    to: to !== undefined && (bounds.to === undefined || compareBytes(bounds.to, to) > 0) ? to : bounds.to,
  };
}
