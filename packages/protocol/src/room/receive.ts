import * as encoding from 'lib0/encoding';
import { bytesToU64, concatBytes, equalBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { decodeRow, encode, readFixed, readVarUint } from '../codec.js';
import { type Delta, trieKeyOf } from '../delta.js';
import { receiveHlc } from '../hlc.js';
import { bytesToDeltaId, type DeltaId, idToBytes, type ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { readRoot } from '../merkle/trie.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { Cursor } from '../wire/messages.js';
import type { Arrival } from './arrival.js';
import { type Acceptance, acceptDeltas, type RoomRef } from './accept.js';
import { forgetKeys } from './forget.js';
import type { JournalRow } from './journal.js';
import { nameKey } from './name-key.js';
import { type CompareUpdates, judgeCheckpoints, type Judgement } from './judge.js';
import { ROLL_BYTES, STORE_ID_BYTES } from './log.js';
import { readLostSeqs } from './lost.js';
import { readClock, readOwnReplica, writeNumber } from './meta.js';
import { bytesToOutboxPlace } from './outbox.js';
import { putInQuarantine, type Rejected } from './quarantine.js';
import { releaseUsable } from './release.js';
import { settleRetained } from './retained.js';
import { acknowledge } from './seal.js';
import { dotKey } from './set-rows.js';
import { type Unseen, withdrawUnseen } from './unseen.js';
import { withdrawSwept } from './withdraw.js';

export interface ReceiveOptions {
  readonly nowMs: number;
  readonly cursor: Cursor | undefined;
  readonly replica: ReplicaId;
  readonly compare: CompareUpdates;
  /** From a backup, whose word that an own delta is elsewhere too says nothing of a relay [BK7]. */
  readonly isBackup?: boolean;
  /** The highest own seq that a relay has said to know [SY24]: what is above it, nobody has from there. */
  readonly takenSeq?: number;
}

export interface Reception extends Acceptance {
  readonly judgement: Judgement;
  /** What own unsent deltas under a floor have become: rows to be sealed again [FL5]. */
  readonly withdrawn: readonly JournalRow[];
  /** Their numbers, which are nobody's any more. */
  readonly withdrawnSeqs: readonly number[];
  /** Own deltas that were covered by who cannot have seen them [CX10]. */
  readonly unseen: readonly Unseen[];
  /** Own deltas of which the relay has shown that it has them. */
  readonly returned: readonly number[];
  /** What was quarantined, and can be used from now on. */
  readonly released: ReadonlySet<DeltaId>;
}

const EVERYTHING = { from: new Uint8Array() };
const CURSOR = utf8ToBytes('cursor');
const SYNCED_AT = utf8ToBytes('synced-at');

/**
 * Takes what came from a peer into the set, with names, clock, quarantine and cursor in the same transaction [CX3, HLC3]. Checkpoints
 * are compared with what they cover before that goes [CP6].
 */
export function* receiveDeltas(
  tx: Transaction,
  room: RoomRef,
  arrivals: readonly Arrival[],
  rejected: readonly Rejected[],
  { nowMs, cursor, replica, compare, takenSeq = 0, isBackup = false }: ReceiveOptions,
): Steps<Reception> {
  const judgement = yield* judgeCheckpoints(tx, room, replica, arrivals, compare);
  const unusable = new Set((yield* tx.keys('quarantine', EVERYTHING)).map(bytesToDeltaId));
  for (const { delta, fault } of judgement.arrivals) if (fault !== undefined) unusable.add(delta.id);
  const deltas = arrivals.map(({ delta }) => delta);
  const retain = ({ id }: Pick<Delta, 'id'>): boolean => unusable.has(id);
  let acceptance = yield* acceptDeltas(tx, room, deltas, { nowMs, from: 'others', retain });
  const returned = isBackup ? [] : yield* readReturned(tx, replica, deltas, acceptance);
  yield* acknowledge(tx, room, replica, returned);
  const before = yield* readClock(tx);
  let clock = before;
  for (const { delta, name } of judgement.arrivals) {
    clock = receiveHlc(clock, delta.hlc, nowMs, defaultLimits.clockAheadMsMax);
    if (name !== undefined) tx.put('names', nameKey(name), idToBytes(delta.keyId));
  }
  const unreadable = judgement.arrivals.flatMap(({ delta, fault }) => (fault === undefined ? [] : [{ delta, fault }]));
  yield* putInQuarantine(tx, [...unreadable, ...(yield* strangeAmong(tx, rejected, deltas))], nowMs);
  if (clock !== before) writeNumber(tx, 'clock', clock);
  if (cursor !== undefined) writeCursor(tx, cursor);
  noteVouched(tx, acceptance, judgement);
  const { rows: withdrawn, seqs: withdrawnSeqs } = yield* withdrawSwept(tx, room, replica, acceptance.swept);
  yield* forgetKeys(tx, acceptance.swept);
  const unseen = yield* withdrawUnseen(tx, room, replica, acceptance.removed, { nowMs, takenSeq, isUnusable: retain });
  if (acceptance.removed.some(({ id }) => unusable.has(id))) {
    // What was wrong has been answered: what it alone covered stands again.
    yield* settleRetained(tx, room, replica);
    acceptance = { ...acceptance, ...(yield* readRoot(tx)) };
  }
  const released = yield* releaseUsable(tx, room, replica, judgement);
  if (released.size > 0) acceptance = { ...acceptance, ...(yield* readRoot(tx)) };
  return { ...acceptance, judgement, withdrawn, withdrawnSeqs, unseen, returned, released };
}

/** An id does not say how it is signed: an honest delta that is held, or came with it, may come once more, spoiled on the way. */
function* strangeAmong(
  tx: Transaction,
  rejected: readonly Rejected[],
  arrived: readonly Delta[],
): Steps<readonly Rejected[]> {
  const ids = new Set(arrived.map(({ id }) => id));
  const held = yield* tx.getMany(
    'deltas',
    rejected.map(({ delta }) => trieKeyOf(delta)),
  );
  return rejected.filter(({ delta }, i) => held[i] === undefined && !ids.has(delta.id));
}

/** What an unusable one superseded is kept, and so is what is known of it. */
function noteVouched(tx: Transaction, { outcomes, removed }: Acceptance, { arrivals, vouched }: Judgement): void {
  const kept = new Set(arrivals.flatMap(({ delta, fault }) => (fault === undefined ? [] : [delta.keyId])));
  const gone = new Set<DeltaId>();
  for (const { id, keyId } of removed) {
    gone.add(id);
    if (!kept.has(keyId)) tx.delete('vouched', idToBytes(id));
  }
  for (const [i, { delta }] of arrivals.entries()) {
    const isAdded = outcomes[i] === 'added' || outcomes[i] === 'forked';
    if (isAdded && vouched.has(delta.id) && !gone.has(delta.id))
      tx.put('vouched', idToBytes(delta.id), new Uint8Array());
  }
}

/**
 * Number of own deltas that no relay has acknowledged and that can be sent. What the disk has lost before it was acknowledged is not waited
 * for: whether a relay has it, the comparison of roots will tell [AE3].
 */
export function* countOutbox(tx: Transaction): Steps<number> {
  const waiting = yield* tx.keys('outbox', { from: new Uint8Array() });
  const replica = waiting.length === 0 ? undefined : yield* readOwnReplica(tx);
  if (replica === undefined) return waiting.length;
  const lost = yield* readLostSeqs(tx, replica);
  if (lost.size === 0) return waiting.length;
  // What was superseded unsent stays below what is lost until that is settled.
  const dots = yield* tx.getMany(
    'dots',
    waiting.map((key) => dotKey({ replica, seq: bytesToU64(key) })),
  );
  return waiting.filter((key, i) => dots[i] !== undefined && !lost.has(bytesToU64(key))).length;
}

/**
 * Own deltas that were lost here before they were acknowledged, and that come from a relay: it has them on its disk [SY6]. Others with their
 * dots, by a copy of this profile, are not meant.
 */
function* readReturned(
  tx: Transaction,
  replica: ReplicaId,
  deltas: readonly Delta[],
  { outcomes }: Acceptance,
): Steps<readonly number[]> {
  const own = deltas.filter((delta, i) => delta.replica === replica && outcomes[i] !== 'known');
  const rows = yield* tx.getMany(
    'outbox',
    own.map(({ seq }) => u64ToBytes(seq)),
  );
  return own.flatMap(({ seq, keyId, hlc }, i) => {
    const place = rows[i] && bytesToOutboxPlace(rows[i]);
    return place?.keyId === keyId && place.hlc === hlc ? [seq] : [];
  });
}

/** Where this replica has read to in a relay's log. */
export function* readCursor(tx: Transaction): Steps<Cursor | undefined> {
  const row = yield* tx.get('meta', CURSOR);
  return row === undefined ? undefined : bytesToCursor(row);
}

/** A row of `meta` that is not this replica's cursor is not looked into. */
export function assertReadableMeta(key: Uint8Array, row: Uint8Array): void {
  if (equalBytes(key, CURSOR)) bytesToCursor(row);
}

function bytesToCursor(row: Uint8Array): Cursor {
  return decodeRow('meta', row, (decoder) => ({
    storeId: readFixed(decoder, STORE_ID_BYTES),
    offset: readVarUint(decoder),
    roll: readFixed(decoder, ROLL_BYTES),
  }));
}

export function writeCursor(tx: Transaction, { storeId, offset, roll }: Cursor): void {
  tx.put(
    'meta',
    CURSOR,
    concatBytes(
      storeId,
      encode((encoder) => encoding.writeVarUint(encoder, offset)),
      roll,
    ),
  );
}

/** When roots were last equal, in ms; 0 for never. */
export function* readSyncedAt(tx: Transaction): Steps<number> {
  const row = yield* tx.get('meta', SYNCED_AT);
  return row === undefined ? 0 : bytesToU64(row);
}

export function writeSyncedAt(tx: Transaction, atMs: number): void {
  tx.put('meta', SYNCED_AT, u64ToBytes(Math.max(0, Math.floor(atMs))));
}
