import { bodyOfDelta, updateOfDelta } from '../body.js';
import { bytesToHex, equalBytes } from '../bytes.js';
import { covers, EMPTY_CONTEXT, makeContext } from '../context.js';
import { type Delta, FLAG, hasFlag, parseTrieKey, trieKeyOf } from '../delta.js';
import type { Hlc } from '../hlc.js';
import { idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import { checkpointDue, type CheckpointLimits, readDocumentDeltas, type Tail } from './checkpoint.js';
import { readNumber } from './meta.js';
import { putPast, readPast, readPresent, readPresentKeys } from './past.js';
import { LEFT_MAX, mergedToRow, pastToRow, rowToMerged } from './past-row.js';
import { readFaults } from './readable.js';
import type { RoomRef } from './room-ref.js';

/** What is merged of a document, at its owner alone: nothing of it leaves the set [FH4]. */
export interface MergeSources {
  readonly keyId: KeyId;
  /** What was merged before, and what is new. */
  readonly updates: readonly Uint8Array[];
  readonly merged: readonly Delta[];
  /** The newest stamp of each replica that is held, merged or not. */
  readonly stamps: ReadonlyMap<ReplicaId, Hlc>;
  /** As it was when this was read: another may have merged meanwhile. */
  readonly before: Uint8Array | undefined;
}

/**
 * What is to be merged of a document, or undefined where it is not worth it yet: as with checkpoints [CP3], each merge is paid for by as many
 * bytes of edits as the one before has. What cannot be read is left out, and stays beside.
 */
export function* readMergeSources(
  tx: Transaction,
  room: RoomRef,
  keyId: KeyId,
  limits: CheckpointLimits,
): Steps<{ readonly sources: MergeSources | undefined; readonly tail: Tail }> {
  const [past] = yield* readPast(tx, [keyId]);
  const former = yield* readMerged(tx, keyId);
  const present = yield* readPresent(tx, room, keyId);
  const merged = yield* usableOf(tx, present);
  const tail = {
    count: merged.length,
    bytes: merged.reduce((sum, { bytes }) => sum + bytes.length, 0),
    checkpoints: former === undefined ? 0 : 1,
    checkpointBytes: former?.length ?? 0,
  };
  const [first] = merged;
  const isDue = checkpointDue(tail, limits) && present.length - merged.length <= LEFT_MAX;
  if (first === undefined || !isDue || bodyOfDelta(first).name.kind !== 'document') return { sources: undefined, tail };
  const stamps = new Map(past?.upTo.stamps);
  for (const { replica, hlc } of present) stamps.set(replica, Math.max(stamps.get(replica) ?? 0, hlc) as Hlc);
  const updates = [...(former === undefined ? [] : [former]), ...inOrder(merged).map(updateOfDelta)];
  const before = past && pastToRow(idToBytes(keyId), past);
  return { sources: { keyId, updates, merged, stamps, before }, tail };
}

/**
 * Keeps the one update that the sources come to: from now on they are past. False, and nothing written, when another tab has taken over, or
 * something came meanwhile that lies within what was merged before: then look again.
 */
export function* commitMerged(
  tx: Transaction,
  { keyId, merged, stamps, before }: MergeSources,
  update: Uint8Array,
  epoch: number,
): Steps<boolean> {
  if ((yield* readNumber(tx, 'epoch')) !== epoch) return false;
  const key = idToBytes(keyId);
  const [past] = yield* readPast(tx, [keyId]);
  const now = past && pastToRow(key, past);
  if (now === undefined ? before !== undefined : before === undefined || !equalBytes(now, before)) return false;
  const upTo = makeContext(stamps, EMPTY_CONTEXT.dots);
  const isIn = new Set(merged.map((delta) => bytesToHex(trieKeyOf(delta))));
  const within = (yield* readPresentKeys(tx, keyId, past)).filter((trieKey) => covers(upTo, parseTrieKey(trieKey)));
  // What cannot be read, and what came while this was merged, below what came before it.
  const left = within.filter((trieKey) => !isIn.has(bytesToHex(trieKey)));
  if (left.length > LEFT_MAX) return false;
  putPast(tx, keyId, { kind: 'merged', upTo, left });
  tx.put('merged', key, mergedToRow(key, update));
  return true;
}

/** The updates that a document reads as, all of them together; in a room of full history what was merged, and what has come since. */
export function* readWholeDocument(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<readonly Uint8Array[]> {
  if (room.history !== 'full') return inOrder(yield* readDocumentDeltas(tx, room, keyId)).map(updateOfDelta);
  const former = yield* readMerged(tx, keyId);
  const usable = yield* usableOf(tx, yield* readPresent(tx, room, keyId));
  return [...(former === undefined ? [] : [former]), ...inOrder(usable).map(updateOfDelta)];
}

/** By stamps, which follow causes: Yjs takes what rests on something that it has not got yet many times as long. */
function inOrder(deltas: readonly Delta[]): readonly Delta[] {
  return deltas.toSorted((a, b) => a.hlc - b.hlc);
}

function* readMerged(tx: Transaction, keyId: KeyId): Steps<Uint8Array | undefined> {
  const key = idToBytes(keyId);
  const row = yield* tx.get('merged', key);
  return row && rowToMerged(key, row);
}

function* usableOf(tx: Transaction, deltas: readonly Delta[]): Steps<readonly Delta[]> {
  const faults = yield* readFaults(tx, deltas);
  return deltas.filter((delta, i) => faults[i] === undefined && !hasFlag(delta, FLAG.tombstone));
}
