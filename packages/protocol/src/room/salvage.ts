import { bytesToU64, concatBytes, prefixEnd } from '../bytes.js';
import { type Delta, FLAG, hasFlag, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import {
  bytesToKeyId,
  bytesToReplicaId,
  idToBytes,
  KEY_ID_BYTES,
  type KeyId,
  REPLICA_ID_BYTES,
  type ReplicaId,
} from '../ids.js';
import type { Row, Steps, Transaction } from '../store/plan.js';
import type { Table } from '../store/table.js';
import { type FoundRow, getTolerantly, readTolerantly, type TolerantSteps } from '../store/tolerant.js';
import { ASIDE } from './aside.js';
import { readGivenUp } from './given-up.js';
import { takeIdentity } from './identity.js';
import { bytesToJournalRow, type JournalRow, readJournal } from './journal.js';
import { REPLICA, writeNumber } from './meta.js';
import { readOutboxRow } from './outbox.js';
import { outboxEntryOf } from './outbox-entry.js';
import type { RoomRef } from './room-ref.js';
import { dotKey, rowToDelta } from './set-rows.js';
import { compareWritten } from './unkept.js';

const EVERYTHING = { from: new Uint8Array() };
const NUMBER_BYTES = 8;

type Waiting = ReturnType<typeof readOutboxRow>;
type TableRow = readonly [table: Table, ...row: Row];

/** What is left of the unsent writes of a room. */
export interface Wreckage {
  /** Whose they are. */
  readonly replica: ReplicaId;
  /** The journal, the outbox, and the own deltas of the keys that they are about. */
  readonly rows: readonly TableRow[];
  /** The highest number of a journal row. */
  readonly lastRow: number;
  /** Rows of journal and outbox of which there is a key, and nothing that could be read. */
  readonly unreadable: number;
  /** Whether journal and outbox could be read to their ends: else there may be more, of which there is no trace. */
  readonly isWhole: boolean;
}

/**
 * [JS12] Reads what can be had of the unsent writes of a room whose database cannot be relied on. `replica`: whose they are where the rows
 * do not say so.
 */
export function* readWreckage(room: RoomRef, replica: ReplicaId): TolerantSteps<Wreckage> {
  const stored = yield* getTolerantly('meta', REPLICA);
  const own = stored?.length === REPLICA_ID_BYTES ? bytesToReplicaId(stored) : replica;
  const journal = yield* readTolerantly('journal', EVERYTHING, bytesToJournalRow);
  const outbox = yield* readTolerantly('outbox', EVERYTHING, (_, row) => readOutboxRow(row));
  const aside = yield* readTolerantly('meta', { from: ASIDE, to: prefixEnd(ASIDE) }, () => true);
  const keyIds = new Set<KeyId>();
  for (const { item } of journal.found) if (item?.name.kind === 'record') keyIds.add(item.keyId);
  for (const { key, item } of outbox.found) {
    if (item !== undefined) keyIds.add(item.keyId);
    // Of a row that cannot be read, or says what nobody wrote, the dot leads to the delta as well.
    const seq = toSeq(key);
    const dot = seq === undefined ? undefined : yield* getTolerantly('dots', dotKey({ replica: own, seq }));
    if (dot?.length === TRIE_KEY_BYTES) keyIds.add(bytesToKeyId(dot.subarray(0, KEY_ID_BYTES)));
  }
  const found: Delta[] = [];
  const rows: TableRow[] = [];
  for (const keyId of keyIds) {
    // A trie key goes on with the writer: of a long document only what is written here is read.
    const from = concatBytes(idToBytes(keyId), idToBytes(own));
    const held = yield* readTolerantly('deltas', { from, to: prefixEnd(from) }, (key, row) =>
      rowToDelta(room, key, row),
    );
    found.push(...held.found.flatMap(({ item }) => item ?? []));
    const previous = yield* getTolerantly('previous', idToBytes(keyId));
    if (previous !== undefined && previous.length >= NUMBER_BYTES) rows.push(['previous', idToBytes(keyId), previous]);
  }
  if (outbox.found.length > 0) {
    // What own checkpoints cover is kept until a relay has them [CP8].
    const kept = yield* readTolerantly('retained', EVERYTHING, (key, row) =>
      rowToDelta(room, key.slice(NUMBER_BYTES), row),
    );
    found.push(...kept.found.flatMap(({ item }) => (item !== undefined && item.replica === own ? [item] : [])));
  }
  const unsent = settle(journal.found, outbox.found, found);
  // What a scrub has put aside a moment before the database was left.
  const put = aside.found.filter(({ key }) => key.length === ASIDE.length + KEY_ID_BYTES + NUMBER_BYTES).length;
  return {
    replica: own,
    rows: [...rows, ...unsent.rows],
    lastRow: unsent.lastRow,
    unreadable: unsent.unreadable + put,
    isWhole: journal.isWhole && outbox.isWhole,
  };
}

/** What journal and outbox come to, beside the own deltas that were found. */
function settle(
  journal: readonly FoundRow<JournalRow>[],
  outbox: readonly FoundRow<Waiting>[],
  found: readonly Delta[],
): Pick<Wreckage, 'rows' | 'lastRow' | 'unreadable'> {
  const written = found.filter((delta) => !hasFlag(delta, FLAG.checkpoint | FLAG.floor));
  const seqs = new Set(written.map(({ seq }) => seq));
  const torn = new Set(
    outbox.flatMap(({ key, item }) => (item && item.writes > 0 && !seqs.has(toSeq(key) ?? 0) ? [item.keyId] : [])),
  );
  // A checkpoint stands for what of its document cannot be read. Else it is as large as the document, and says nothing more.
  const isNeeded = (delta: Delta) => hasFlag(delta, FLAG.checkpoint) && torn.has(delta.keyId);
  const deltas = [...written, ...found.filter(isNeeded)];
  const rows = deltas.map((delta): TableRow => ['deltas', trieKeyOf(delta), delta.bytes]);
  // An index may go on giving what was deleted as it was sealed: a second time, it would stand beside what replaced it.
  const sealed = new Set(deltas.map(writeOf));
  const standing = journal.filter(({ item }) => item?.name.kind !== 'record' || !sealed.has(writeOf(item)));
  for (const { key, value, item } of standing) if (value && item) rows.push(['journal', key, value]);
  let unreadable = standing.filter(({ item }) => item === undefined).length;
  const bySeq = new Map(deltas.map((delta) => [delta.seq, delta]));
  for (const { key, value, item } of outbox) {
    const delta = bySeq.get(toSeq(key) ?? 0);
    const isOfDelta = delta === undefined || (item?.keyId === delta.keyId && item.hlc === delta.hlc);
    if (value && item && isOfDelta) rows.push(['outbox', key, value]);
    else if (delta !== undefined) rows.push(['outbox', key, outboxEntryOf(delta)]);
    else unreadable++;
  }
  const numbers = standing.map(({ item }) => item?.number ?? 0);
  return { rows, lastRow: numbers.reduce((last, number) => Math.max(last, number), 0), unreadable };
}

export interface Salvaged {
  /** In the order in which they were written. */
  readonly rows: readonly JournalRow[];
  /** Writes that could not be read, as far as there is a trace of them. */
  readonly lost: number;
  readonly isWhole: boolean;
}

/** Puts the wreckage into an empty store, which a scrub is then to make whole. */
export function* putWreckage(tx: Transaction, { replica, rows, lastRow }: Wreckage): Steps<void> {
  for (const [table, key, value] of rows) tx.put(table, key, value);
  tx.put('meta', REPLICA, idToBytes(replica));
  writeNumber(tx, 'row', lastRow);
}

/** The unsent writes as rows of the replica `heir`, who takes them over as from an identity that is used up. */
export function* takeWreckage(
  tx: Transaction,
  room: RoomRef,
  { replica, unreadable, isWhole }: Wreckage,
  heir: ReplicaId,
): Steps<Salvaged> {
  const gone = yield* readGivenUp(tx, room, replica);
  yield* takeIdentity(tx, room, heir);
  const rows = [...(yield* readJournal(tx))].sort(compareWritten);
  return { rows, lost: gone.reduce((sum, { writes }) => sum + writes, unreadable), isWhole };
}

/** Undefined for what is none. */
function toSeq(key: Uint8Array): number | undefined {
  const seq = key.length === NUMBER_BYTES ? bytesToU64(key) : undefined;
  return Number.isSafeInteger(seq) ? seq : undefined;
}

const writeOf = ({ keyId, writtenAt }: Pick<Delta, 'keyId' | 'writtenAt'>): string => `${keyId} ${writtenAt}`;
