import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { assert } from '../assert.js';
import { bytesToU64, concatBytes, equalBytes, keyAfter, prefixEnd, u64ToBytes } from '../bytes.js';
import { checksum } from '../checksum.js';
import { decodeRow, encode, readBytes, readCount, readU64, readVarUint, writeU64 } from '../codec.js';
import {
  type Context,
  contextOfHeld,
  covers,
  EMPTY_CONTEXT,
  highestEntry,
  makeContext,
  namesOf,
  narrowContext,
  type Stamped,
} from '../context.js';
import { type Delta, FLAG, hasFlag, readContext, writeContext } from '../delta.js';
import { MangroveError } from '../errors.js';
import { type Hlc, tickHlc } from '../hlc.js';
import {
  bytesToKeyId,
  deriveKeyId,
  idToBytes,
  type KeyId,
  type KeyName,
  keyNameToBytes,
  readKeyName,
  type ReplicaId,
  writeKeyName,
} from '../ids.js';
import { defaultLimits } from '../limits.js';
import { type Row, type Steps, together, type Transaction } from '../store/plan.js';
import type { RoomRef } from './room-ref.js';
import { readGrounds } from './ground.js';
import { alone, readReadable } from './readable.js';
import { readClock, readNumber, readOwnReplica, writeNumber } from './meta.js';
import { rowToDelta } from './set-rows.js';
import { nameKey } from './name-key.js';
import { readPresent } from './past.js';
import { isPassedSooner, readRowsOf, STEP_KEYS } from './rows-of-keys.js';
import { takeFromTrash, type Trashed } from './trash.js';

/** How many rows and how many bytes of payload one plan looks at: bounded work, bounded memory. */
const PAGE_ROWS_MAX = 4_096;
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
/** A row may weigh as much as a body, and what a step reads is only known afterwards. */
const STEP_ROWS_MAX = 64;

/** Room for what rows that are sealed together saw, each a little later than the one before. */
const JOINED_ENTRIES = 64;

/** Numbers of rows, both ends included. */
export interface NumberRange {
  readonly from: number;
  readonly to: number;
}

/** An edit that is durable but not yet a delta [JS1]. */
export interface JournalRow {
  /** Rises with every row of the room, over all tabs. */
  readonly number: number;
  readonly keyId: KeyId;
  readonly name: KeyName;
  /** Flags that the delta will carry: import, seed, tombstone. */
  readonly flags: number;
  readonly writtenAt: Hlc;
  /** What the writer held of the key when it wrote [CX5]; empty for documents. */
  readonly context: Context;
  readonly nonces: readonly number[];
  readonly payload: Uint8Array;
  /** Of a row that stands for several [JS6]: when the first of them was written, and all their numbers, its own among them. */
  readonly folded?: { readonly oldest: Hlc; readonly numbers: readonly NumberRange[] } | undefined;
}

export type Edit = Pick<JournalRow, 'name' | 'flags' | 'nonces' | 'payload'> & {
  /** Where in the trash the content comes from [FL15]. */
  readonly recovers?: Trashed;
};

/** A key as it stands: the siblings and the rows not yet sealed. Reading is merging the two. */
export interface KeyState {
  readonly deltas: readonly Delta[];
  readonly rows: readonly JournalRow[];
}

/**
 * Journals edits, in order, and takes the context of each record write here and now: taken later, it would claim to have seen
 * what arrived in between [CX5]. What an edit recovers leaves the trash in the same transaction [FL15]. `writer`: who made the edits; where the
 * rows are another's by now, a document's edits are imports [ID5].
 *
 * Throws `BODY_TOO_LARGE`, as a row that no delta can carry would hold up all that come after it, and `NOT_IN_TRASH`.
 */
export function* appendToJournal(
  tx: Transaction,
  room: RoomRef,
  edits: readonly Edit[],
  nowMs: number,
  writer?: ReplicaId,
): Steps<readonly JournalRow[]> {
  const keyIds = keyIdsOf(room, edits);
  // In one step: a keystroke waits for each of them.
  const [own, last, clock, contexts, listed] = yield* together<
    [ReplicaId | undefined, number, Hlc, readonly Context[], ReadonlySet<KeyId>]
  >([
    readOwnReplica(tx),
    readNumber(tx, 'row'),
    readClock(tx),
    readHeldBy(tx, room, edits, keyIds),
    readListedDocuments(tx, edits, keyIds),
  ]);
  const isOwn = writer === undefined || writer === own;
  const rows: JournalRow[] = [];
  let writtenAt = clock;
  for (const [i, { recovers, ...edit }] of edits.entries()) {
    if (recovers !== undefined && !(yield* takeFromTrash(tx, recovers))) throw new MangroveError('NOT_IN_TRASH');
    writtenAt = tickHlc(writtenAt, nowMs);
    const made = isOwn ? edit : asImport(edit);
    const row = { ...draftRow(made, keyIds[i] as KeyId, writtenAt, contexts[i] as Context), number: last + 1 + i };
    if (listed.has(row.keyId)) writeRow(tx, row);
    else putRow(tx, row);
    rows.push(row);
  }
  writeNumber(tx, 'row', last + rows.length);
  writeNumber(tx, 'clock', writtenAt);
  return rows;
}

/** The key of each edit. A group has many of one document. */
export function keyIdsOf(room: RoomRef, edits: readonly Edit[]): readonly KeyId[] {
  const ofDocuments = new Map<string, KeyId>();
  return edits.map(({ name }) => {
    if (name.kind === 'record') return deriveKeyId(room.hash, room.roomId, name);
    const keyId = ofDocuments.get(name.id) ?? deriveKeyId(room.hash, room.roomId, name);
    ofDocuments.set(name.id, keyId);
    return keyId;
  });
}

/** The documents among these that are in the list of names: each keystroke would put the same row there. */
function* readListedDocuments(
  tx: Transaction,
  edits: readonly Edit[],
  keyIds: readonly KeyId[],
): Steps<ReadonlySet<KeyId>> {
  const documents = new Map<KeyId, KeyName>();
  for (const [i, { name }] of edits.entries()) if (name.kind === 'document') documents.set(keyIds[i] as KeyId, name);
  const rows = yield* tx.getMany('names', [...documents.values()].map(nameKey));
  const isListed = (keyId: KeyId, row: Uint8Array | undefined) =>
    row !== undefined && equalBytes(row, idToBytes(keyId));
  return new Set([...documents.keys()].filter((keyId, i) => isListed(keyId, rows[i])));
}

/** What the writers of these edits hold of their keys now [CX5], edit by edit. Throws `BODY_TOO_LARGE`. */
export function* readHeldBy(
  tx: Transaction,
  room: RoomRef,
  edits: readonly Edit[],
  keyIds: readonly KeyId[],
): Steps<readonly Context[]> {
  const ofRecords = edits.map((edit, i) => {
    assertBodyFits(edit);
    return edit.name.kind === 'record' ? keyIds[i] : undefined;
  });
  const wanted = new Set(ofRecords.filter((keyId) => keyId !== undefined));
  const passed = (yield* isPassedSooner(tx, room, wanted.size)) ? yield* readRowsOf(tx, 'deltas', wanted) : undefined;
  const contexts: Context[] = [];
  for (let i = 0; i < ofRecords.length; i += STEP_KEYS) {
    const page = ofRecords.slice(i, i + STEP_KEYS).map((keyId) => readHeld(tx, room, keyId, passed));
    contexts.push(...(yield* together(page)));
  }
  return contexts;
}

function* readHeld(
  tx: Transaction,
  room: RoomRef,
  keyId: KeyId | undefined,
  passed: ReadonlyMap<KeyId, readonly Row[]> | undefined,
): Steps<Context> {
  if (keyId === undefined) return EMPTY_CONTEXT;
  if (passed === undefined) return yield* readContextOf(tx, room, keyId, yield* readSiblings(tx, room, keyId));
  const rows = passed.get(keyId);
  if (rows === undefined) return EMPTY_CONTEXT;
  return yield* readContextOf(
    tx,
    room,
    keyId,
    rows.map(([trieKey, row]) => rowToDelta(room, trieKey, row)),
  );
}

/** A row as it will be, all but its number. `context`: of {@link readHeldBy}. */
export function draftRow(edit: Edit, keyId: KeyId, writtenAt: Hlc, context: Context): Omit<JournalRow, 'number'> {
  assert(highestEntry(context) < writtenAt, () => 'something was accepted whose stamp did not move the clock');
  return { ...edit, keyId, writtenAt, context };
}

export function putRow(tx: Transaction, row: JournalRow): void {
  writeRow(tx, row);
  tx.put('names', nameKey(row.name), idToBytes(row.keyId));
}

/** Also in the place of one with its number. Rows that were joined may have seen more together than a row can name. */
export function writeRow(tx: Transaction, row: JournalRow): void {
  const context = narrowContext(row.context, defaultLimits.replicasPerKeyMax);
  tx.put('journal', journalKey(row), journalRowToBytes({ ...row, context }));
}

/** The same edit, vouched for by whoever seals it instead of by the clientID it was made under. */
export function asImport<E extends Edit | JournalRow>(edit: E): E {
  if (edit.name.kind === 'record' || hasFlag(edit, FLAG.import)) return edit;
  return { ...edit, flags: edit.flags | FLAG.import, nonces: [] };
}

/** `siblings`: all of the key. */
function* readContextOf(tx: Transaction, room: RoomRef, keyId: KeyId, siblings: readonly Delta[]): Steps<Context> {
  const { usable, repaired } = yield* readReadable(tx, room, keyId, siblings);
  const isUsable = new Set(usable);
  const held = [...siblings.map((delta) => (isUsable.has(delta) ? delta : alone(delta))), ...repaired];
  const context = contextOfHeld(held, yield* readGrounds(tx, room, held));
  const { floorContextEntriesMin } = defaultLimits;
  if (context.stamps.size + context.dots.length <= floorContextEntriesMin) return context;
  return yield* readNarrowed(tx, held, context);
}

/**
 * [FL13] The context of a write that would name very many: without what the siblings had seen of replicas of which nothing is known here, and as
 * much of the rest as a delta can carry, the siblings themselves first. It covers less than was seen, and never more.
 */
function* readNarrowed(tx: Transaction, siblings: readonly Stamped[], context: Context): Steps<Context> {
  const direct = namesOf(context, siblings);
  const replicas = [...new Set([...context.stamps.keys(), ...context.dots.map(({ replica }) => replica)])];
  const rows = yield* tx.getMany('vector', replicas.map(idToBytes));
  const known = new Set(replicas.filter((_, i) => rows[i] !== undefined));
  const kept = makeContext(
    new Map([...context.stamps].filter(([replica]) => known.has(replica) || direct.stamps.has(replica))),
    context.dots.filter((dot) => known.has(dot.replica) || covers(direct, dot)),
  );
  return narrowContext(kept, defaultLimits.replicasPerKeyMax - JOINED_ENTRIES, direct);
}

/** The deltas of a key that no held one covers, in trie order; of a document in a room of full history those that are not merged yet [FH4]. */
export function* readSiblings(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<readonly Delta[]> {
  if (room.history === 'full') return yield* readPresent(tx, room, keyId);
  const rows = yield* tx.rows('deltas', underKey(keyId));
  return rows.map(([trieKey, row]) => rowToDelta(room, trieKey, row));
}

export function* readKeyState(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<KeyState> {
  const [deltas, rows] = yield* together<[readonly Delta[], readonly JournalRow[]]>([
    readSiblings(tx, room, keyId),
    readJournalOf(tx, keyId),
  ]);
  return { deltas, rows };
}

/** The rows of one key, ascending by number. */
export function* readJournalOf(tx: Transaction, keyId: KeyId): Steps<readonly JournalRow[]> {
  const rows = yield* tx.rows('journal', underKey(keyId));
  return rows.map(([key, value]) => bytesToJournalRow(key, value));
}

/** All journal rows, ascending by key and number. */
export function* readJournal(tx: Transaction): Steps<readonly JournalRow[]> {
  const rows = yield* tx.rows('journal', { from: new Uint8Array() });
  return rows.map(([key, value]) => bytesToJournalRow(key, value));
}

/** As many rows from `from` on as one plan may look at; `isLast` where none come after them. */
export function* readJournalPage(
  tx: Transaction,
  from: Uint8Array,
): Steps<{ readonly rows: readonly JournalRow[]; readonly isLast: boolean }> {
  const rows: JournalRow[] = [];
  let bytes = 0;
  let next = from;
  for (;;) {
    const limit = Math.min(STEP_ROWS_MAX, PAGE_ROWS_MAX - rows.length);
    const read = yield* tx.rows('journal', { from: next, limit });
    for (const [key, value] of read) {
      rows.push(bytesToJournalRow(key, value));
      bytes += value.length;
      // A step may have read several that are each a page by themselves; to seal them at once would take many times their size.
      if (bytes >= PAGE_BYTES_MAX) return { rows, isLast: false };
    }
    const last = read.at(-1);
    if (last === undefined || read.length < limit) return { rows, isLast: true };
    if (rows.length >= PAGE_ROWS_MAX) return { rows, isLast: false };
    next = keyAfter(last[0]);
  }
}

/** `keyId 16 • u64 number`. */
export function journalKey(row: Pick<JournalRow, 'keyId' | 'number'>): Uint8Array {
  return concatBytes(idToBytes(row.keyId), u64ToBytes(row.number));
}

/** What a body of this name has room for [DL8]. */
export function payloadBytesMaxOf(name: KeyName): number {
  return defaultLimits.bodyBytesMax - keyNameToBytes(name).length;
}

function assertBodyFits({ name, payload }: Edit): void {
  const { bodyBytesMax } = defaultLimits;
  const bodyBytes = bodyBytesMax - payloadBytesMaxOf(name) + payload.length;
  if (bodyBytes > bodyBytesMax) throw new MangroveError('BODY_TOO_LARGE', { bodyBytes, bodyBytesMax });
}

function underKey(keyId: KeyId): { from: Uint8Array; to: Uint8Array | undefined } {
  const from = idToBytes(keyId);
  return { from, to: prefixEnd(from) };
}

/**
 * `row := varUint form • name • varUint flags • u64 writtenAt • varUint above • context • nonces • varBytes payload`; the context is
 * relative to `writtenAt + above`, as that of a row that was withdrawn may name an own delta sealed after the row was written.
 * Forms 2 and 4 have `varUint(writtenAt − oldest) • varUint n • n × (varUint from • varUint(to − from))` behind it [JS6]. Behind forms 3 and 4
 * is a `u32` checksum over the key and all of that: nobody else has what the row says, and it is not signed yet [AE2]. Forms 1 and 2 are
 * from before there was one.
 */
export function journalRowToBytes(row: JournalRow): Uint8Array {
  const bytes = encode((encoder) => {
    encoding.writeVarUint(encoder, row.folded === undefined ? 3 : 4);
    writeKeyName(encoder, row.name);
    encoding.writeVarUint(encoder, row.flags);
    writeU64(encoder, row.writtenAt);
    const base = Math.max(row.writtenAt, highestEntry(row.context));
    encoding.writeVarUint(encoder, base - row.writtenAt);
    writeContext(encoder, row.context, base);
    encoding.writeVarUint(encoder, row.nonces.length);
    for (const nonce of row.nonces) encoding.writeUint32BigEndian(encoder, nonce);
    encoding.writeVarUint8Array(encoder, row.payload);
    if (row.folded === undefined) return;
    encoding.writeVarUint(encoder, row.writtenAt - row.folded.oldest);
    encoding.writeVarUint(encoder, row.folded.numbers.length);
    for (const { from, to } of row.folded.numbers) {
      encoding.writeVarUint(encoder, from);
      encoding.writeVarUint(encoder, to - from);
    }
  });
  const check = encode((encoder) => encoding.writeUint32BigEndian(encoder, checksum(journalKey(row), bytes)));
  return concatBytes(bytes, check);
}

export function bytesToJournalRow(key: Uint8Array, value: Uint8Array): JournalRow {
  const keyId = bytesToKeyId(key.subarray(0, 16));
  const number = bytesToU64(key, 16);
  return decodeRow('journal', value, (decoder) => {
    const form = readVarUint(decoder);
    if (form < 1 || form > 4) throw new Error('unknown form');
    const name = readKeyName(decoder);
    const flags = readVarUint(decoder);
    const writtenAt = readU64(decoder) as Hlc;
    const context = readContext(decoder, writtenAt + readVarUint(decoder));
    const nonces = Array.from({ length: readCount(decoder, 4, defaultLimits.noncesPerDeltaMax) }, () =>
      decoding.readUint32BigEndian(decoder),
    );
    const payload = readBytes(decoder, defaultLimits.bodyBytesMax);
    const folded = form % 2 === 0 ? readFolded(decoder, writtenAt) : undefined;
    const sum = checksum(key, value.subarray(0, decoder.pos));
    if (form > 2 && decoding.readUint32BigEndian(decoder) !== sum) throw new Error('it is not what was written');
    return {
      keyId,
      number,
      name,
      flags,
      writtenAt,
      context,
      nonces,
      payload,
      ...(folded && { folded }),
    };
  });
}

function readFolded(decoder: decoding.Decoder, writtenAt: Hlc): JournalRow['folded'] {
  const oldest = (writtenAt - readVarUint(decoder)) as Hlc;
  const numbers = Array.from({ length: readCount(decoder, 2, Number.MAX_SAFE_INTEGER) }, () => {
    const from = readVarUint(decoder);
    return { from, to: from + readVarUint(decoder) };
  });
  return { oldest, numbers };
}
