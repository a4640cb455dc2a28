import {
  assertRootSound,
  bytesToHeadStatement,
  countPutAside,
  isMangroveError,
  type JournalRow,
  readJournal,
  readNumber,
  readOutboxEntries,
  readOwnReplica,
  readRoot,
  readSyncedAt,
  type ReplicaId,
  type RoomRef,
  type Steps,
  type Store,
  takeIdentity,
  type Transaction,
} from '@mangrove/protocol';
import type { HeadSeq, JournaledRow } from '../tabs/room-channel.js';
import { type Carried, carry } from './carried.js';
import { toNotice } from './row-notices.js';
import type { PendingBooks } from './pending.js';

/** How a room stands when a tab opens it. */
export interface LoadedRoom extends PendingBooks {
  readonly rows: readonly JournaledRow[];
  readonly root: Uint8Array;
  readonly syncedAtMs: number;
  readonly marks: Marks;
  readonly heads: readonly HeadSeq[];
  /** The journal as it is, for a store that may fail. */
  readonly journal: readonly JournalRow[];
  /** The numbers that rows have here which were carried over from another store, in the order in which they were. */
  readonly carried: readonly number[];
}

/** Deltas that are not quite like the others. */
export interface Marks {
  /** Kept, and used for nothing: deltas, and what is left of rows. */
  readonly quarantined: number;
  /** Checkpoints whose content is their signer's word [CP7]. */
  readonly vouched: number;
}

export function* readMarks(tx: Transaction): Steps<Marks> {
  const everything = { from: new Uint8Array() };
  return {
    quarantined: (yield* tx.keys('quarantine', everything)).length + (yield* countPutAside(tx)),
    vouched: (yield* tx.keys('vouched', everything)).length,
  };
}

/** How a room stands for the replica that opens it. A full disk keeps no room from opening whose rows are this replica's already. */
export async function openRows(
  store: Store,
  room: RoomRef,
  replica: ReplicaId,
  carried: Carried | undefined,
): Promise<LoadedRoom> {
  try {
    return await store.transact((tx) => loadRoom(tx, room, replica, carried), { mode: 'write' });
  } catch (error) {
    if (carried !== undefined || !isMangroveError(error) || error.code !== 'STORAGE_FULL') throw error;
    const loaded = await store.transact((tx) => readOwnRoom(tx, replica), { mode: 'read' });
    if (loaded === undefined) throw error;
    return loaded;
  }
}

function* readOwnRoom(tx: Transaction, replica: ReplicaId): Steps<LoadedRoom | undefined> {
  return (yield* readOwnReplica(tx)) === replica ? yield* readRoom(tx, replica) : undefined;
}

/** Also makes the rows this replica's, where another identity has left them. */
function* loadRoom(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  carried: Carried | undefined,
): Steps<LoadedRoom> {
  yield* assertRootSound(tx, room);
  // Another tab has salvaged the same meanwhile, in the transaction in which it made the rows this replica's.
  const isThere = carried?.salvaged !== undefined && (yield* readOwnReplica(tx)) !== undefined;
  yield* takeIdentity(tx, room, replica);
  const numbers = carried === undefined || isThere ? [] : yield* carry(tx, carried);
  return { ...(yield* readRoom(tx, replica)), carried: numbers };
}

export function* readRoom(tx: Transaction, replica: ReplicaId): Steps<LoadedRoom> {
  const journal = yield* readJournal(tx);
  const rows = journal.map(toNotice);
  const heads = (yield* tx.rows('heads', { from: new Uint8Array() })).map(([, value]) => {
    const { replica: other, vector, timeMs } = bytesToHeadStatement(value);
    return { replica: other, seq: vector.get(replica) ?? 0, timeMs };
  });
  return {
    rows: [...rows].sort((a, b) => a.number - b.number),
    outbox: yield* readOutboxEntries(tx),
    row: yield* readNumber(tx, 'row'),
    seq: yield* readNumber(tx, 'seq'),
    root: (yield* readRoot(tx)).root,
    syncedAtMs: yield* readSyncedAt(tx),
    marks: yield* readMarks(tx),
    heads,
    journal,
    carried: [],
  };
}
