import { parseTrieKey } from '../delta.js';
import type { Steps, Transaction } from '../store/plan.js';
import { deriveFloorKeyId } from '../ids.js';
import { readReachOf } from './floor-rows.js';
import type { RoomRef } from './room-ref.js';
import type { ContextualSibling } from './set-rows.js';
import { type LostDelta, noteLost, SEQ_UNKNOWN } from './lost.js';
import { noteUnseen } from './previous.js';
import { doubtVector, readVectorRows } from './vector.js';

/** [AE3] Deltas that a scrub has missed: nothing above them is claimed until they are back. How many entries said something else. */
export function* noteLostDeltas(tx: Transaction, room: RoomRef, lost: readonly LostDelta[]): Steps<number> {
  let lowered = 0;
  for (const one of lost) {
    noteLost(tx, one);
    if (yield* doubtVector(tx, one.replica, one.seq)) lowered++;
    lowered += yield* doubtReach(tx, room, one.trieKey);
    yield* noteUnseen(tx, room, parseTrieKey(one.trieKey).keyId);
  }
  return lowered;
}

/** What a lost floor had swept may be pushed again until it is back [FL5]. */
function* doubtReach(tx: Transaction, { hash, roomId }: RoomRef, trieKey: Uint8Array): Steps<number> {
  const { keyId, id } = parseTrieKey(trieKey);
  if (keyId !== deriveFloorKeyId(hash, roomId)) return 0;
  let lowered = 0;
  const known = (yield* readVectorRows(tx)).keys();
  for (const replica of (yield* readReachOf(tx, id, known)).keys()) if (yield* doubtVector(tx, replica)) lowered++;
  return lowered;
}

/**
 * [AE3] Lost deltas that had a context: what they alone had covered is neither held nor covered now, and its author may push it again. Which
 * dots these are, stamps do not tell.
 */
export function* noteLostContexts(tx: Transaction, room: RoomRef, lost: readonly ContextualSibling[]): Steps<number> {
  let lowered = 0;
  for (const { replica, trieKey, context } of lost) {
    noteLost(tx, { replica, seq: SEQ_UNKNOWN, trieKey });
    const named = new Set([replica, ...context.stamps.keys(), ...context.dots.map((dot) => dot.replica)]);
    for (const one of named) if (yield* doubtVector(tx, one)) lowered++;
    lowered += yield* doubtReach(tx, room, trieKey);
    yield* noteUnseen(tx, room, parseTrieKey(trieKey).keyId);
  }
  return lowered;
}
