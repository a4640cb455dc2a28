import { equalBytes, u64ToBytes } from '../bytes.js';
import { type Context, contextOfHeld, EMPTY_CONTEXT, highestEntry } from '../context.js';
import { type Delta, FLAG, makeUnsignedDelta, type UnsignedDelta } from '../delta.js';
import { type Floor, floorOf, floorToBytes, type Reach } from '../floor.js';
import { type Hlc, hlcToMs } from '../hlc.js';
import { deriveFloorKeyId, idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import type { Limits } from '../limits.js';
import { readRoot } from '../merkle/trie.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { type Acceptance, acceptDeltas, isAnyCovered, type RoomRef } from './accept.js';
import { hasLongContext, readCollectable, readStanding } from './collect.js';
import { isStandingKnown } from './floor-rows.js';
import { readSiblings } from './journal.js';
import { isAnyLost } from './lost.js';
import { readClock, readNumber, writeNumber } from './meta.js';
import { outboxEntryToBytes } from './outbox-entry.js';
import { joinReaches, readKnown, readNextReach } from './reach.js';
import { noteSwept, readPrevious } from './previous.js';
import { areInPlace, nextStamp } from './seal.js';

export type FloorLimits = Pick<
  Limits,
  | 'bodyBytesMax'
  | 'floorCollectMax'
  | 'floorContextEntriesMin'
  | 'floorReplicasMax'
  | 'floorTombstonesMin'
  | 'replicaExpiryMs'
  | 'replicasPerKeyMax'
>;

/** A floor that waits for its signature, and the root of the set that it speaks of. */
export interface FloorDraft {
  readonly unsigned: UnsignedDelta;
  readonly root: Uint8Array;
  /** How many tombstones it collects. */
  readonly collected: number;
}

/** A tombstone weighs about so much, with its rows of the index and what its key is. */
const TOMBSTONE_BYTES = 400;
const NOT_QUIET = ['journal', 'outbox', 'quarantine', 'retained', 'incoming'] as const;

/**
 * The floor that is due, or undefined [FL11]. It lets stand all that is held within its reach but the tombstones that it collects; nothing
 * within its reach is unknown here, whatever a relay withholds [FL7, FL9]. None in a room of full history [FH1].
 *
 * Cost: one short read where there is nothing to collect; all keys of the set where there is.
 */
export function* draftFloor(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  nowMs: number,
  limits: FloorLimits,
): Steps<FloorDraft | undefined> {
  if (room.history === 'full') return undefined;
  if (!(yield* mayFloorBeDue(tx, limits)) || !(yield* isQuiet(tx))) return undefined;
  const { root, count } = yield* readRoot(tx);
  const floorKeyId = deriveFloorKeyId(room.hash, room.roomId);
  const held = yield* readSiblings(tx, room, floorKeyId);
  const heldReach = joinReaches(held.map((delta) => floorOf(delta)?.reach ?? new Map()));
  const isKnown = (yield* together(held.map(({ id }) => isStandingKnown(tx, id)))).every((one) => one);
  const context = held.length === 0 ? EMPTY_CONTEXT : contextOfHeld(held);
  // Floors of as many identities as no delta can name.
  if (Math.max(context.stamps.size, context.dots.length) > limits.replicasPerKeyMax) return undefined;
  const witnesses = yield* readKnown(tx, replica, nowMs, limits);
  if (witnesses.length > limits.replicasPerKeyMax) return undefined;
  const reach = yield* readNextReach(tx, replica, root, witnesses, heldReach, isKnown, limits);
  if (reach === undefined || reach.size > limits.floorReplicasMax) return undefined;
  const collected = yield* readCollectable(tx, reach, limits.floorCollectMax);
  const isLong = yield* hasLongContext(tx, reach, heldReach, floorKeyId, limits.floorContextEntriesMin);
  if (!isLong && collected.size < limits.floorTombstonesMin) return undefined;
  const standing = yield* readStanding(tx, reach, floorKeyId, collected, count);
  // What a disk has lost must not be swept from those of others.
  if (standing === undefined) return undefined;
  const floor = { reach, standing, witnesses };
  const body = floorToBytes(floor);
  if (body.length > limits.bodyBytesMax) return undefined;
  if (!isLong && collected.size * TOMBSTONE_BYTES < body.length) return undefined;
  const unsigned = yield* draftDelta(tx, room, replica, floorKeyId, { floor, body, context }, nowMs);
  return { unsigned, root, collected: collected.size };
}

/**
 * Makes the signed floor part of the set, as `commitSeal` does [JS3], and sweeps what lies under it. Undefined, and nothing written, when
 * another tab has taken over, the next `seq` has moved, or the set is not that of the draft any more: then look again. What is swept is kept until
 * a relay has the floor, which may be refused until then.
 */
export function* commitFloor(
  tx: Transaction,
  room: RoomRef,
  delta: Delta,
  draft: FloorDraft,
  epoch: number,
  nowMs: number,
): Steps<Acceptance | undefined> {
  if ((yield* readNumber(tx, 'epoch')) !== epoch) return undefined;
  if ((yield* readNumber(tx, 'seq')) !== delta.seq - 1) return undefined;
  if (!equalBytes((yield* readRoot(tx)).root, draft.root) || !(yield* isQuiet(tx))) return undefined;
  if (yield* isAnyCovered(tx, [delta])) return undefined;
  if (!(yield* areInPlace(tx, [delta]))) return undefined;

  const clock = yield* readClock(tx);
  const options = { nowMs, from: 'others', retain: () => true, trash: 'all' } as const;
  const acceptance = yield* acceptDeltas(tx, room, [delta], options);
  yield* noteSwept(tx, acceptance.swept);
  tx.put('previous', idToBytes(delta.keyId), u64ToBytes(delta.hlc));
  tx.put('outbox', u64ToBytes(delta.seq), outboxEntryToBytes({ writes: 0, oldestAtMs: hlcToMs(delta.hlc) }, delta));
  writeNumber(tx, 'seq', delta.seq);
  writeNumber(tx, 'clock', Math.max(clock, delta.hlc));
  return acceptance;
}

/** Without enough tombstones, and with too few replicas for a long context, there is nothing to look for. One short read. */
export function* mayFloorBeDue(
  tx: Transaction,
  { floorTombstonesMin, floorContextEntriesMin }: Pick<FloorLimits, 'floorTombstonesMin' | 'floorContextEntriesMin'>,
): Steps<boolean> {
  const from = new Uint8Array();
  if ((yield* tx.keys('tombstones', { from, limit: floorTombstonesMin })).length >= floorTombstonesMin) return true;
  return (yield* tx.keys('vector', { from, limit: floorContextEntriesMin })).length >= floorContextEntriesMin;
}

/** [FL9] Nothing is on its way in or out, nothing is doubted, nothing hangs on what may yet be refused. */
function* isQuiet(tx: Transaction): Steps<boolean> {
  for (const table of NOT_QUIET)
    if ((yield* tx.keys(table, { from: new Uint8Array(), limit: 1 })).length > 0) return false;
  return !(yield* isAnyLost(tx));
}

function* draftDelta(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  keyId: KeyId,
  { floor, body, context }: { readonly floor: Floor; readonly body: Uint8Array; readonly context: Context },
  nowMs: number,
): Steps<UnsignedDelta> {
  const prev = yield* readPrevious(tx, keyId);
  const given = (yield* readNumber(tx, 'given')) as Hlc;
  const named = Math.max(prev, highestEntry(context), highestPlace(floor.reach));
  const hlc = nextStamp(yield* readClock(tx), named, given, nowMs);
  const seq = (yield* readNumber(tx, 'seq')) + 1;
  const header = { replica, seq, keyId, hlc, writtenAt: hlc, prev, context, flags: FLAG.floor, nonces: [] };
  return makeUnsignedDelta(room.hash, room.roomId, header, body);
}

function highestPlace(reach: Reach): number {
  let highest = 0;
  for (const { hlc } of reach.values()) highest = Math.max(highest, hlc);
  return highest;
}
