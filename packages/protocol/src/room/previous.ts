import { bytesToU64, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { type Context, covers, EMPTY_CONTEXT, joinContexts, type Stamped } from '../context.js';
import type { Delta, DeltaHeader } from '../delta.js';
import type { Hlc } from '../hlc.js';
import { idToBytes, type KeyId, type KeyName, type ReplicaId } from '../ids.js';
import { assertWhole } from '../merkle/node-table.js';
import type { Steps, Transaction } from '../store/plan.js';
import { type ContextualSibling, readContexts, rowToDelta } from './set-rows.js';
import { isReached } from './floor-rows.js';
import type { JournalRow } from './journal.js';
import { isKeyLost } from './lost.js';
import { readOwnReplica } from './meta.js';
import type { RoomRef } from './room-ref.js';
import { oldestOf } from './runs.js';

/** A row of `previous`: `keyId 16 → u64 hlc • [u8 note]`. */
const STAMP_BYTES = 8;
const NOTES = {
  /** The disk had lost what the stamp is of, or an own floor had swept it: who wrote after that did not see it, though it may be back. */
  unseen: 1,
  /** It does not cover the own delta before it, so that it is named by a dot: a stamp would reach over the gap [CX4]. */
  aboveGap: 2,
} as const;

/** The stamp of this replica's youngest delta of the key that stands, 0 for none [JS5]. */
export function* readPrevious(tx: Transaction, keyId: KeyId): Steps<Hlc> {
  const row = yield* tx.get('previous', idToBytes(keyId));
  return (row === undefined ? 0 : bytesToU64(row)) as Hlc;
}

/** After something of a key was lost: whether the own delta that the next one comes after is still held, or covered by what is. */
export function* noteUnseen(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<void> {
  const replica = yield* readOwnReplica(tx);
  const hlc = yield* readPrevious(tx, keyId);
  if (replica === undefined || hlc === 0) return;
  if (!(yield* isVisible(tx, room, { keyId, replica, hlc }))) writeRow(tx, keyId, hlc, NOTES.unseen);
}

/** After an own floor: nothing is left of these keys, and what is written while that may be refused has not seen what would come back [FL14]. */
export function* noteSwept(tx: Transaction, swept: readonly Delta[]): Steps<void> {
  const keyIds = [...new Set(swept.map(({ keyId }) => keyId))];
  const rows = yield* tx.getMany('previous', keyIds.map(idToBytes));
  for (const [i, keyId] of keyIds.entries()) {
    const row = rows[i];
    if (row !== undefined) writeRow(tx, keyId, bytesToU64(row) as Hlc, NOTES.unseen);
  }
}

/** An own delta of a key now stands as the youngest. Of a document nothing is ever named by its replica alone. */
export function writePrevious(tx: Transaction, delta: DeltaHeader, kind: KeyName['kind']): void {
  writeRow(tx, delta.keyId, delta.hlc, kind === 'record' && isAboveGap(delta) ? NOTES.aboveGap : undefined);
}

/** A delta that was sealed after this one is taken back: what that did not cover, or only by a dot, is known no better now. */
export function noteStanding(tx: Transaction, withdrawn: Delta, hlc: Hlc): void {
  const { keyId, replica, context } = withdrawn;
  if (hlc === 0) return;
  const isBelow = hlc <= (context.stamps.get(replica) ?? 0);
  writeRow(tx, keyId, hlc, isBelow ? undefined : covers(context, { replica, hlc }) ? NOTES.aboveGap : NOTES.unseen);
}

/** The same where what is taken back is gone from the disk, so that its context is not known: its own note tells whether it named all before it. */
export function noteStandingBelow(tx: Transaction, keyId: KeyId, withdrawn: Uint8Array, hlc: Hlc): void {
  writeRow(tx, keyId, hlc, withdrawn[STAMP_BYTES] === undefined ? undefined : NOTES.unseen);
}

function writeRow(tx: Transaction, keyId: KeyId, hlc: Hlc, note: number | undefined): void {
  tx.put('previous', idToBytes(keyId), concatBytes(u64ToBytes(hlc), Uint8Array.from(note === undefined ? [] : [note])));
}

/**
 * What the rows of a record say of the replica's previous delta of it, beside their contexts [JS2, CX4]. They were written with it before
 * their eyes: as rows of the journal, where it was sealed since, or else as what was held. Where the disk had lost it, or what had covered it, the
 * stamp would reach over contexts that nobody knows here, and what only they cover would be back.
 */
export function* contextOfPrevious(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  group: readonly JournalRow[],
  hlc: Hlc,
): Steps<Context> {
  const [{ keyId }] = group as [JournalRow];
  const isNamed = covers(joinContexts(group.map(({ context }) => context)), { replica, hlc });
  if (isNamed || hlc === 0) return EMPTY_CONTEXT;
  const row = yield* tx.get('previous', idToBytes(keyId));
  const note = row?.[STAMP_BYTES];
  const isRow = hlc > Math.min(...group.map(oldestOf));
  if (!isRow && (note === NOTES.unseen || !(yield* isVisible(tx, room, { keyId, replica, hlc })))) return EMPTY_CONTEXT;
  const seen = yield* contextOfHeldOne(tx, room, { keyId, replica, hlc });
  return joinContexts([seen, contextOfOwn({ replica, hlc }, note !== undefined)]);
}

/** Of an own delta that is still held; it is not known any more where something has superseded it, but for a room of full history. */
function* contextOfHeldOne(
  tx: Transaction,
  room: RoomRef,
  { keyId, replica, hlc }: Pick<Delta, 'keyId' | 'replica' | 'hlc'>,
): Steps<Context> {
  if (room.history === 'full') {
    const from = placeOf({ keyId, replica, hlc });
    const [row] = yield* tx.rows('deltas', { from, to: prefixEnd(from), limit: 1 });
    return row === undefined ? EMPTY_CONTEXT : rowToDelta(room, ...row).context;
  }
  const held = (yield* loadContexts(tx, keyId)).find((one) => one.replica === replica && one.hlc === hlc);
  return held?.context ?? EMPTY_CONTEXT;
}

/** What its trie key begins with. */
function placeOf({ keyId, replica, hlc }: Pick<Delta, 'keyId' | 'replica' | 'hlc'>): Uint8Array {
  return concatBytes(idToBytes(keyId), idToBytes(replica), u64ToBytes(hlc));
}

/**
 * What the next delta of the key says of this one, which was drafted just before it from rows that stood before its own. What this one has
 * seen goes along: the disk may have lost it between the two writes, and then only the first has it in its rows.
 */
export function contextOfDrafted(delta: DeltaHeader): Context {
  return joinContexts([delta.context, contextOfOwn(delta, isAboveGap(delta))]);
}

function contextOfOwn({ replica, hlc }: Stamped, isAlone: boolean): Context {
  return isAlone ? { stamps: new Map(), dots: [{ replica, hlc }] } : { stamps: new Map([[replica, hlc]]), dots: [] };
}

const isAboveGap = ({ replica, prev, context }: DeltaHeader): boolean => prev > (context.stamps.get(replica) ?? 0);

/**
 * Whether it is held, covered by what is, or under a floor: a row of contexts may tell of what is lost and not missed yet. Throws `INTERNAL` where
 * that may be so of what a floor lets stand.
 */
function* isVisible(tx: Transaction, room: RoomRef, own: Pick<Delta, 'keyId' | 'replica' | 'hlc'>): Steps<boolean> {
  const from = placeOf(own);
  if ((yield* tx.keys('deltas', { from, to: prefixEnd(from), limit: 1 })).length > 0) return true;
  const covering = (yield* loadContexts(tx, own.keyId)).filter(({ context }) => covers(context, own));
  const held = yield* tx.getMany(
    'deltas',
    covering.map(({ trieKey }) => trieKey),
  );
  if (held.some((delta) => delta !== undefined)) return true;
  if (!(yield* isReached(tx, room, own.replica, own.hlc)) || (yield* isKeyLost(tx, own.keyId))) return false;
  // What the floor lets stand may be missing, and nobody has noticed yet.
  yield* assertWhole(tx, idToBytes(own.keyId));
  return true;
}

function* loadContexts(tx: Transaction, keyId: KeyId): Steps<readonly ContextualSibling[]> {
  const key = idToBytes(keyId);
  return readContexts(key, (yield* tx.get('contexts', key)) ?? new Uint8Array());
}
