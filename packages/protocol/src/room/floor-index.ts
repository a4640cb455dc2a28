import { bytesToU64, concatBytes, equalBytes, u64ToBytes } from '../bytes.js';
import { type Place, STANDING_BYTES } from '../floor.js';
import type { Hlc } from '../hlc.js';
import { bytesToDeltaId, bytesToReplicaId, type DeltaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId } from '../ids.js';
import { type Range, type Steps, together, type Transaction } from '../store/plan.js';

/**
 * The rows of `floors` by which one is found: a member can have any number of floors held, and a delta is asked about those alone that reach its
 * place. They stand beside the rows of each floor, under an id that no floor has: what reaches a replica and how far under
 * `u8 16 • replica 8 • u64 hlc • floorId → u64 seq • replica 8 of the floor`, what is missing of their standings under `u8 17 • its beginning →
 * the ids of these floors`, and how many floors are in here under `u8 18`. Without a floor there is none of them.
 */
const INDEX = new Uint8Array(32);
const REACHES = 16;
const MISSING = 17;
const COUNT = 18;

const ID_BYTES = 32;
const PREFIX_BYTES = INDEX.length + 1;
const HLC_AT = PREFIX_BYTES + REPLICA_ID_BYTES;

/** A held floor that reaches a place of a replica. */
export interface Reaching extends Place {
  readonly floor: DeltaId;
  /** Who wrote the floor. */
  readonly by: ReplicaId;
}

export function putReaching(tx: Transaction, replica: ReplicaId, { floor, by, seq, hlc }: Reaching): void {
  tx.put('floors', reachingKey(replica, hlc, floor), concatBytes(u64ToBytes(seq), idToBytes(by)));
}

export function deleteReaching(tx: Transaction, replica: ReplicaId, hlc: Hlc, floor: DeltaId): void {
  tx.delete('floors', reachingKey(replica, hlc, floor));
}

/** The floors that reach these replicas at these stamps or beyond, for each in ascending order of how far, `max` at most. */
export function* readReaching(
  tx: Transaction,
  places: readonly { readonly replica: ReplicaId; readonly hlc: Hlc }[],
  max?: number,
): Steps<readonly (readonly Reaching[])[]> {
  const rows = yield* together(
    places.map(({ replica, hlc }) => tx.rows('floors', { ...beyond(replica, hlc), limit: max })),
  );
  return rows.map((found) => found.map(([key, value]) => rowToReaching(key, value)));
}

/** Ids, of which these are the beginnings, are let stand by this floor and have not been here. */
export function* addMissing(tx: Transaction, floor: DeltaId, beginnings: readonly Uint8Array[]): Steps<void> {
  const before = yield* readMissing(tx, beginnings);
  for (const [i, beginning] of beginnings.entries()) writeMissing(tx, beginning, [...(before[i] ?? []), floor]);
}

/** This floor misses them no more. */
export function* dropMissing(tx: Transaction, floor: DeltaId, beginnings: readonly Uint8Array[]): Steps<void> {
  const before = yield* readMissing(tx, beginnings);
  for (const [i, beginning] of beginnings.entries())
    writeMissing(
      tx,
      beginning,
      (before[i] ?? []).filter((one) => one !== floor),
    );
}

export function writeMissing(tx: Transaction, beginning: Uint8Array, floors: readonly DeltaId[]): void {
  if (floors.length === 0) tx.delete('floors', missingKey(beginning));
  else tx.put('floors', missingKey(beginning), concatBytes(...floors.map(idToBytes)));
}

/** For each beginning of an id the floors that let it stand and have missed it so far. One read where nothing is missed. */
export function* readMissing(
  tx: Transaction,
  beginnings: readonly Uint8Array[],
): Steps<readonly (readonly DeltaId[])[]> {
  const any = yield* tx.keys('floors', { from: prefixOf(MISSING), to: prefixOf(MISSING + 1), limit: 1 });
  if (any.length === 0) return beginnings.map(() => []);
  const rows = yield* tx.getMany('floors', beginnings.map(missingKey));
  return rows.map((row) => splitIds(row ?? new Uint8Array()));
}

/** How many floors are in the index; undefined where floors are held and there is none yet. */
export function* readIndexed(tx: Transaction): Steps<number | undefined> {
  const [row, any] = yield* together<[Uint8Array | undefined, readonly Uint8Array[]]>([
    tx.get('floors', prefixOf(COUNT)),
    tx.keys('floors', { from: new Uint8Array(), limit: 1 }),
  ]);
  if (row !== undefined) return bytesToU64(row);
  return any.length === 0 ? 0 : undefined;
}

export function writeIndexed(tx: Transaction, count: number): void {
  if (count <= 0) tx.delete('floors', prefixOf(COUNT));
  else tx.put('floors', prefixOf(COUNT), u64ToBytes(count));
}

/** The floors that a row of `floors` speaks of. */
export function floorsOfRow(key: Uint8Array, value: Uint8Array): readonly DeltaId[] {
  if (!equalBytes(key.subarray(0, INDEX.length), INDEX)) return [bytesToDeltaId(key.slice(0, ID_BYTES))];
  if (key[INDEX.length] === REACHES) return [bytesToDeltaId(key.slice(-ID_BYTES))];
  return key[INDEX.length] === MISSING ? splitIds(value) : [];
}

const ABOVE_IDS = new Uint8Array(ID_BYTES + 1).fill(0xff);

const prefixOf = (kind: number): Uint8Array => concatBytes(INDEX, Uint8Array.of(kind));

function reachingKey(replica: ReplicaId, hlc: Hlc, floor: DeltaId): Uint8Array {
  return concatBytes(prefixOf(REACHES), idToBytes(replica), u64ToBytes(hlc), idToBytes(floor));
}

function missingKey(beginning: Uint8Array): Uint8Array {
  return concatBytes(prefixOf(MISSING), beginning.subarray(0, STANDING_BYTES));
}

function splitIds(row: Uint8Array): readonly DeltaId[] {
  return Array.from({ length: row.length / ID_BYTES }, (_, i) =>
    bytesToDeltaId(row.slice(i * ID_BYTES, (i + 1) * ID_BYTES)),
  );
}

function beyond(replica: ReplicaId, hlc: Hlc): Range {
  const ofReplica = concatBytes(prefixOf(REACHES), idToBytes(replica));
  return { from: concatBytes(ofReplica, u64ToBytes(hlc)), to: concatBytes(ofReplica, ABOVE_IDS) };
}

function rowToReaching(key: Uint8Array, value: Uint8Array): Reaching {
  return {
    floor: bytesToDeltaId(key.slice(-ID_BYTES)),
    by: bytesToReplicaId(value.slice(8)),
    seq: bytesToU64(value),
    hlc: bytesToU64(key, HLC_AT) as Hlc,
  };
}
