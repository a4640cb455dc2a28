import { bytesToU64, compareBytes, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import type { Stamped } from '../context.js';
import { type Delta, FLAG, hasFlag, parseTrieKey } from '../delta.js';
import { type Floor, isStanding, isUnderFloor, type Place, STANDING_BYTES } from '../floor.js';
import type { Hlc } from '../hlc.js';
import { type DeltaId, deriveFloorKeyId, idToBytes, type ReplicaId } from '../ids.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import type { RoomRef } from './room-ref.js';

/**
 * Rows of `floors`, each under the floor's id: the reach under `u8 0 • replica`, the standing in pieces under `u8 1 • first of them`, and
 * under `u8 2 • its beginning` each id of the standing that has not been here, and the floor's own seq under `u8 3`. So a delta is looked up in two small rows.
 */
const REACH = 0;
const STANDING = 1;
const MISSING = 2;
const SEQ = 3;
const PIECE_BYTES = 512 * STANDING_BYTES;
const KEYS_PAGE = 4_096;

/** A floor in the set. */
export interface HeldFloor extends Stamped {
  readonly id: DeltaId;
  readonly trieKey: Uint8Array;
}

export function* readHeldFloors(tx: Transaction, { hash, roomId }: RoomRef): Steps<readonly HeldFloor[]> {
  const from = idToBytes(deriveFloorKeyId(hash, roomId));
  const keys = yield* tx.keys('deltas', { from, to: prefixEnd(from) });
  return keys.map((trieKey) => ({ ...parseTrieKey(trieKey), trieKey }));
}

/** For each delta a floor that it lies under, if there is one [FL3]; floors lie under none. */
export function* readUnder(
  tx: Transaction,
  floors: readonly HeldFloor[],
  deltas: readonly Pick<Delta, 'id' | 'replica' | 'hlc' | 'flags'>[],
): Steps<readonly (HeldFloor | undefined)[]> {
  const under: (HeldFloor | undefined)[] = deltas.map(() => undefined);
  for (const floor of floors) {
    const { id } = floor;
    const reach = yield* readReachOf(
      tx,
      id,
      deltas.map(({ replica }) => replica),
    );
    const isBelow = (delta: (typeof deltas)[number], i: number) =>
      under[i] === undefined && !hasFlag(delta, FLAG.floor) && delta.hlc <= (reach.get(delta.replica)?.hlc ?? 0);
    const below = deltas.flatMap((delta, i) => (isBelow(delta, i) ? [i] : []));
    const stands = yield* together(
      below.map((i) => readStands(tx, id, idToBytes((deltas[i] as (typeof deltas)[number]).id))),
    );
    for (const [at, i] of below.entries()) if (!stands[at]) under[i] = floor;
  }
  return under;
}

/** What a held floor's reach says of some replicas. */
export function* readReachOf(
  tx: Transaction,
  floor: DeltaId,
  replicas: Iterable<ReplicaId>,
): Steps<ReadonlyMap<ReplicaId, Place>> {
  const distinct = [...new Set(replicas)];
  const rows = yield* tx.getMany(
    'floors',
    distinct.map((replica) => rowKey(floor, REACH, idToBytes(replica))),
  );
  const places = new Map<ReplicaId, Place>();
  for (const [i, replica] of distinct.entries()) {
    const row = rows[i];
    if (row !== undefined) places.set(replica, { seq: bytesToU64(row), hlc: bytesToU64(row, 8) as Hlc });
  }
  return places;
}

/** Whether a stamp of a replica lies within the reach of a held floor: what had it and is not here was collected, or is to be. */
export function* isReached(tx: Transaction, room: RoomRef, replica: ReplicaId, hlc: Hlc): Steps<boolean> {
  for (const { id } of yield* readHeldFloors(tx, room)) {
    const place = (yield* readReachOf(tx, id, [replica])).get(replica);
    if (place !== undefined && hlc <= place.hlc) return true;
  }
  return false;
}

/**
 * Writes the rows of a floor that has come into the set, and finds what of the set lies under it. What it lets stand and is not here is
 * noted: until it comes, nobody here can say that it was superseded [FL9]. Reads all keys of the set.
 */
export function* keepFloor(
  tx: Transaction,
  { id, seq }: Pick<Delta, 'id' | 'seq'>,
  floor: Floor,
): Steps<readonly Uint8Array[]> {
  tx.put('floors', rowKey(id, SEQ, new Uint8Array()), u64ToBytes(seq));
  for (const [replica, { seq, hlc }] of floor.reach)
    tx.put('floors', rowKey(id, REACH, idToBytes(replica)), concatBytes(u64ToBytes(seq), u64ToBytes(hlc)));
  for (let at = 0; at < floor.standing.length; at += PIECE_BYTES) {
    const piece = floor.standing.slice(at, at + PIECE_BYTES);
    tx.put('floors', rowKey(id, STANDING, piece.subarray(0, STANDING_BYTES)), piece);
  }
  const under: Uint8Array[] = [];
  const here: Uint8Array[] = [];
  for (let from = new Uint8Array(); ; ) {
    const page = yield* tx.keys('deltas', { from, limit: KEYS_PAGE });
    for (const trieKey of page) {
      const place = parseTrieKey(trieKey);
      if (isUnderFloor(floor, place)) under.push(trieKey);
      else if (isStanding(floor.standing, idToBytes(place.id))) here.push(trieKey.slice(32, 32 + STANDING_BYTES));
    }
    const last = page.at(-1);
    if (last === undefined || page.length < KEYS_PAGE) break;
    from = new Uint8Array([...last, 0]);
  }
  for (const missing of without(floor.standing, here.sort(compareBytes)))
    tx.put('floors', rowKey(id, MISSING, missing), new Uint8Array());
  return under;
}

/** The seq of a held floor; 0 of one that says nothing. */
export function* readSeqOf(tx: Transaction, floor: DeltaId): Steps<number> {
  const row = yield* tx.get('floors', rowKey(floor, SEQ, new Uint8Array()));
  return row === undefined ? 0 : bytesToU64(row);
}

/** Deletes the rows of a floor that has left the set. */
export function* forgetFloor(tx: Transaction, id: DeltaId): Steps<void> {
  const from = idToBytes(id);
  for (const key of yield* tx.keys('floors', { from, to: prefixEnd(from) })) tx.delete('floors', key);
}

/** Strikes out what has come of the standing that was missing. */
export function* noteArrived(
  tx: Transaction,
  floors: readonly HeldFloor[],
  arrived: readonly Pick<Delta, 'id'>[],
): Steps<void> {
  for (const floor of floors) {
    if (yield* isStandingKnown(tx, floor.id)) continue;
    for (const { id } of arrived)
      tx.delete('floors', rowKey(floor.id, MISSING, idToBytes(id).subarray(0, STANDING_BYTES)));
  }
}

/** Whether all that the floor lets stand was here, or is known to be superseded [FL9]. */
export function* isStandingKnown(tx: Transaction, floor: DeltaId): Steps<boolean> {
  return (yield* tx.keys('floors', { ...under(floor, MISSING), limit: 1 })).length === 0;
}

/** The floor's writer has the same set now, so what is missing of its standing is superseded. */
export function* knowStanding(tx: Transaction, floor: DeltaId): Steps<void> {
  for (const key of yield* tx.keys('floors', under(floor, MISSING))) tx.delete('floors', key);
}

function* readStands(tx: Transaction, floor: DeltaId, id: Uint8Array): Steps<boolean> {
  const { from } = under(floor, STANDING);
  const to = concatBytes(rowKey(floor, STANDING, id.subarray(0, STANDING_BYTES)), Uint8Array.of(0));
  const [row] = yield* tx.rows('floors', { from, to, reverse: true, limit: 1 });
  return row !== undefined && isStanding(row[1], id);
}

/** What of the standing is not among the ids that are here, both ascending. */
function without(standing: Uint8Array, here: readonly Uint8Array[]): readonly Uint8Array[] {
  const missing: Uint8Array[] = [];
  let next = 0;
  for (let at = 0; at < standing.length; at += STANDING_BYTES) {
    const id = standing.slice(at, at + STANDING_BYTES);
    while (next < here.length && compareBytes(here[next] as Uint8Array, id) < 0) next++;
    if (next === here.length || compareBytes(here[next] as Uint8Array, id) !== 0) missing.push(id);
  }
  return missing;
}

function rowKey(floor: DeltaId, kind: number, rest: Uint8Array): Uint8Array {
  return concatBytes(idToBytes(floor), Uint8Array.of(kind), rest);
}

function under(floor: DeltaId, kind: number): { from: Uint8Array; to: Uint8Array | undefined } {
  const from = rowKey(floor, kind, new Uint8Array());
  return { from, to: prefixEnd(from) };
}
