import { bytesToU64, compareBytes, concatBytes, keyAfter, prefixEnd, u64ToBytes } from '../bytes.js';
import type { Stamped } from '../context.js';
import { type Delta, FLAG, hasFlag, parseTrieKey } from '../delta.js';
import { type Floor, isStanding, isUnderFloor, type Place, STANDING_BYTES } from '../floor.js';
import type { Hlc } from '../hlc.js';
import { bytesToReplicaId, type DeltaId, deriveFloorKeyId, idToBytes, type ReplicaId } from '../ids.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import {
  addMissing,
  deleteReaching,
  dropMissing,
  putReaching,
  type Reaching,
  readIndexed,
  readMissing,
  readReaching,
  writeIndexed,
  writeMissing,
} from './floor-index.js';
import type { RoomRef } from './room-ref.js';

/**
 * Rows of `floors`, each under the floor's id: the reach under `u8 0 • replica`, the standing in pieces under `u8 1 • first of them`, and
 * under `u8 2 • its beginning` each id of the standing that has not been here, and the floor's own seq under `u8 3`. Which floors are asked at all, the
 * index tells.
 */
const REACH = 0;
const STANDING = 1;
const MISSING = 2;
const SEQ = 3;
const PIECE_BYTES = 512 * STANDING_BYTES;
const KEYS_PAGE = 4_096;
/** Pairs of a delta and a floor that one step asks about, each in a row of 4 kB. */
const STANDS_STEP = 512;
/** Where the rest of a row's key begins, behind the floor's id and the kind. */
const REST_AT = 33;

/** A floor in the set. */
export interface HeldFloor extends Stamped {
  readonly id: DeltaId;
  readonly trieKey: Uint8Array;
}

/** Those of one replica, which are one where it has not used a stamp twice. */
export function* readHeldFloorsOf(
  tx: Transaction,
  { hash, roomId }: RoomRef,
  by: ReplicaId,
): Steps<readonly DeltaId[]> {
  const from = concatBytes(idToBytes(deriveFloorKeyId(hash, roomId)), idToBytes(by));
  return (yield* tx.keys('deltas', { from, to: prefixEnd(from) })).map((trieKey) => parseTrieKey(trieKey).id);
}

/** None where everything is kept: there a floor is a delta like any, and says nothing [FH1]. */
export function* readHeldFloors(tx: Transaction, { hash, roomId, history }: RoomRef): Steps<readonly HeldFloor[]> {
  if (history === 'full') return [];
  const from = idToBytes(deriveFloorKeyId(hash, roomId));
  const keys = yield* tx.keys('deltas', { from, to: prefixEnd(from) });
  return keys.map((trieKey) => ({ ...parseTrieKey(trieKey), trieKey }));
}

/** How many floors are held that say something. Of a store from before there was an index it is made now. */
export function* countFloors(tx: Transaction, room: RoomRef): Steps<number> {
  const indexed = yield* readIndexed(tx);
  if (indexed !== undefined) return indexed;
  let count = 0;
  for (const { id, replica } of yield* readHeldFloors(tx, room)) {
    const reach = yield* tx.rows('floors', under(id, REACH));
    for (const [key, row] of reach)
      putReaching(tx, bytesToReplicaId(key.slice(REST_AT)), rowToReaching(id, replica, row));
    yield* addMissing(tx, id, yield* readMissingOf(tx, id));
    if ((yield* readSeqOf(tx, id)) > 0) count++;
  }
  writeIndexed(tx, count);
  return count;
}

/** The held floors that reach these replicas at these stamps or beyond, for each of them; one alone where that says enough. */
export function* readFloorsBeyond(
  tx: Transaction,
  room: RoomRef,
  places: readonly Pick<Stamped, 'replica' | 'hlc'>[],
  isOneEnough = false,
): Steps<readonly (readonly Reaching[])[]> {
  const indexed = yield* readIndexed(tx);
  if (indexed === 0) return places.map(() => []);
  if (indexed !== undefined) return yield* readReaching(tx, places, isOneEnough ? 1 : undefined);
  const floors = yield* readHeldFloors(tx, room);
  const replicas = places.map(({ replica }) => replica);
  const reaches = yield* together(floors.map(({ id }) => readReachOf(tx, id, replicas)));
  return places.map(({ replica, hlc }) =>
    floors.flatMap(({ id, replica: by }, i) => {
      const place = reaches[i]?.get(replica);
      return place !== undefined && place.hlc >= hlc ? [{ floor: id, by, ...place }] : [];
    }),
  );
}

/**
 * For each delta a floor that it lies under, if there is one [FL3]; floors lie under none. Floors that do not reach it cost nothing, however many
 * are held.
 */
export function* readUnder(
  tx: Transaction,
  room: RoomRef,
  deltas: readonly Pick<Delta, 'id' | 'replica' | 'hlc' | 'flags'>[],
): Steps<readonly (Reaching | undefined)[]> {
  const lowest = new Map<ReplicaId, Hlc>();
  for (const delta of deltas)
    if (!hasFlag(delta, FLAG.floor))
      lowest.set(delta.replica, Math.min(delta.hlc, lowest.get(delta.replica) ?? delta.hlc) as Hlc);
  const places = [...lowest].map(([replica, hlc]) => ({ replica, hlc }));
  const reaching = yield* readFloorsBeyond(tx, room, places);
  const byReplica = new Map(places.map(({ replica }, i) => [replica, reaching[i] as readonly Reaching[]]));
  const pairs: { readonly i: number; readonly floor: Reaching }[] = [];
  for (const [i, delta] of deltas.entries())
    if (!hasFlag(delta, FLAG.floor))
      for (const floor of byReplica.get(delta.replica) ?? []) if (delta.hlc <= floor.hlc) pairs.push({ i, floor });
  const lying: (Reaching | undefined)[] = deltas.map(() => undefined);
  const idOf = (i: number) => idToBytes((deltas[i] as (typeof deltas)[number]).id);
  for (let at = 0; at < pairs.length; at += STANDS_STEP) {
    const asked = pairs.slice(at, at + STANDS_STEP).filter(({ i }) => lying[i] === undefined);
    const stands = yield* together(asked.map(({ i, floor }) => readStands(tx, floor.floor, idOf(i))));
    for (const [n, { i, floor }] of asked.entries()) if (!stands[n]) lying[i] ??= floor;
  }
  return lying;
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
    if (row !== undefined) places.set(replica, rowToPlace(row));
  }
  return places;
}

/** Whether a stamp of a replica lies within the reach of a held floor: what had it and is not here was collected, or is to be. */
export function* isReached(tx: Transaction, room: RoomRef, replica: ReplicaId, hlc: Hlc): Steps<boolean> {
  const [reaching] = yield* readFloorsBeyond(tx, room, [{ replica, hlc }], true);
  return reaching?.[0] !== undefined;
}

/**
 * Writes the rows of a floor that has come into the set, and finds what of the set lies under it. What it lets stand and is not here is
 * noted: until it comes, nobody here can say that it was superseded [FL9]. Reads all keys of the set.
 */
export function* keepFloor(
  tx: Transaction,
  room: RoomRef,
  { id, seq, replica: by }: Pick<Delta, 'id' | 'seq' | 'replica'>,
  floor: Floor,
): Steps<readonly Uint8Array[]> {
  const before = yield* countFloors(tx, room);
  tx.put('floors', rowKey(id, SEQ, new Uint8Array()), u64ToBytes(seq));
  for (const [replica, place] of floor.reach) {
    tx.put('floors', rowKey(id, REACH, idToBytes(replica)), concatBytes(u64ToBytes(place.seq), u64ToBytes(place.hlc)));
    putReaching(tx, replica, { floor: id, by, ...place });
  }
  writeIndexed(tx, before + 1);
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
  const missing = without(floor.standing, here.sort(compareBytes));
  for (const beginning of missing) tx.put('floors', rowKey(id, MISSING, beginning), new Uint8Array());
  yield* addMissing(tx, id, missing);
  return under;
}

/** The seq of a held floor; 0 of one that says nothing. */
export function* readSeqOf(tx: Transaction, floor: DeltaId): Steps<number> {
  const row = yield* tx.get('floors', rowKey(floor, SEQ, new Uint8Array()));
  return row === undefined ? 0 : bytesToU64(row);
}

/** Deletes the rows of a floor that has left the set. */
export function* forgetFloor(tx: Transaction, room: RoomRef, id: DeltaId): Steps<void> {
  const indexed = yield* countFloors(tx, room);
  const isCounted = (yield* readSeqOf(tx, id)) > 0;
  const reach = yield* tx.rows('floors', under(id, REACH));
  for (const [key, row] of reach) deleteReaching(tx, bytesToReplicaId(key.slice(REST_AT)), rowToPlace(row).hlc, id);
  yield* knowStanding(tx, id);
  const from = idToBytes(id);
  for (const key of yield* tx.keys('floors', { from, to: prefixEnd(from) })) tx.delete('floors', key);
  if (isCounted) writeIndexed(tx, indexed - 1);
}

/** Strikes out what has come of the standing that was missing. */
export function* noteArrived(tx: Transaction, arrived: readonly Pick<Delta, 'id'>[]): Steps<void> {
  const beginnings = arrived.map(({ id }) => idToBytes(id).subarray(0, STANDING_BYTES));
  const missedBy = yield* readMissing(tx, beginnings);
  for (const [i, beginning] of beginnings.entries()) {
    const floors = missedBy[i] as readonly DeltaId[];
    if (floors.length > 0) writeMissing(tx, beginning, []);
    for (const floor of floors) tx.delete('floors', rowKey(floor, MISSING, beginning));
  }
}

/** Whether all that the floor lets stand was here, or is known to be superseded [FL9]. */
export function* isStandingKnown(tx: Transaction, floor: DeltaId): Steps<boolean> {
  return (yield* tx.keys('floors', { ...under(floor, MISSING), limit: 1 })).length === 0;
}

/** The floor's writer has the same set now, so what is missing of its standing is superseded. */
export function* knowStanding(tx: Transaction, floor: DeltaId): Steps<void> {
  const missing = yield* readMissingOf(tx, floor);
  for (const beginning of missing) tx.delete('floors', rowKey(floor, MISSING, beginning));
  yield* dropMissing(tx, floor, missing);
}

function* readMissingOf(tx: Transaction, floor: DeltaId): Steps<readonly Uint8Array[]> {
  return (yield* tx.keys('floors', under(floor, MISSING))).map((key) => key.slice(REST_AT));
}

function* readStands(tx: Transaction, floor: DeltaId, id: Uint8Array): Steps<boolean> {
  const { from } = under(floor, STANDING);
  const to = keyAfter(rowKey(floor, STANDING, id.subarray(0, STANDING_BYTES)));
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

function rowToPlace(row: Uint8Array): Place {
  return { seq: bytesToU64(row), hlc: bytesToU64(row, 8) as Hlc };
}

const rowToReaching = (floor: DeltaId, by: ReplicaId, row: Uint8Array): Reaching => ({ floor, by, ...rowToPlace(row) });

function rowKey(floor: DeltaId, kind: number, rest: Uint8Array): Uint8Array {
  return concatBytes(idToBytes(floor), Uint8Array.of(kind), rest);
}

function under(floor: DeltaId, kind: number): { from: Uint8Array; to: Uint8Array | undefined } {
  const from = rowKey(floor, kind, new Uint8Array());
  return { from, to: prefixEnd(from) };
}
