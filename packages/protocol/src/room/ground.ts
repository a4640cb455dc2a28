import { u64ToBytes } from '../bytes.js';
import type { Ground, HeldDelta } from '../context.js';
import type { Delta } from '../delta.js';
import { idToBytes } from '../ids.js';
import { assertWhole } from '../merkle/node-table.js';
import type { Steps, Transaction } from '../store/plan.js';
import { isStandingKnown, readHeldFloors, readReachOf, readSeqOf } from './floor-rows.js';
import { isKeyLost } from './lost.js';
import { readOwnReplica } from './meta.js';
import type { RoomRef } from './room-ref.js';

/**
 * What the held floors say to a context that is made of these siblings of one key [FL12]. An own floor that no relay has acknowledged says nothing: if
 * it is refused, what it swept stands again, and a context that relied on it would let it. What a floor lets stand was here once, but the disk
 * may have lost it: then its stamp lies within the reach and was seen by nobody who writes now.
 *
 * Throws `INTERNAL` where a stamp would be extended on the word of a floor and something of the key is missing.
 */
export function* readGrounds(
  tx: Transaction,
  room: RoomRef,
  held: readonly (HeldDelta & Pick<Delta, 'keyId'>)[],
): Steps<readonly Ground[]> {
  const [first] = held;
  if (first === undefined) return [];
  const floors = yield* readHeldFloors(tx, room);
  if (floors.length === 0) return [];
  const isLost = yield* isKeyLost(tx, first.keyId);
  const own = yield* readOwnReplica(tx);
  const replicas = new Set(
    held.flatMap(({ replica, context }) => [
      replica,
      ...context.stamps.keys(),
      ...context.dots.map((dot) => dot.replica),
    ]),
  );
  const grounds: Ground[] = [];
  for (const { id, replica } of floors) {
    const seq = yield* readSeqOf(tx, id);
    const isUnsent = replica === own && (yield* tx.get('outbox', u64ToBytes(seq))) !== undefined;
    if (isUnsent) continue;
    const reach = yield* readReachOf(tx, id, replicas);
    grounds.push({
      reach: new Map([...reach].map(([replica, { hlc }]) => [replica, hlc])),
      isWhole: !isLost && (yield* isStandingKnown(tx, id)),
    });
  }
  if (grounds.some((ground) => isReliedOn(ground, held))) yield* assertWhole(tx, idToBytes(first.keyId));
  return grounds;
}

/** Whether it may be by this ground that nothing of a replica lies unseen below a held delta. */
function isReliedOn({ reach, isWhole }: Ground, held: readonly HeldDelta[]): boolean {
  return isWhole && held.some(({ replica, prev }) => prev > 0 && prev <= (reach.get(replica) ?? 0));
}
