import { u64ToBytes } from '../bytes.js';
import type { Ground, HeldDelta } from '../context.js';
import type { Steps, Transaction } from '../store/plan.js';
import { isStandingKnown, readHeldFloors, readReachOf, readSeqOf } from './floor-rows.js';
import { readOwnReplica } from './meta.js';
import type { RoomRef } from './room-ref.js';

/**
 * What the held floors say to a context that is made of these siblings [FL12]. An own floor that no relay has acknowledged says nothing: if
 * it is refused, what it swept stands again, and a context that relied on it would let it.
 */
export function* readGrounds(tx: Transaction, room: RoomRef, held: readonly HeldDelta[]): Steps<readonly Ground[]> {
  const floors = yield* readHeldFloors(tx, room);
  if (floors.length === 0 || held.length === 0) return [];
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
      isWhole: yield* isStandingKnown(tx, id),
    });
  }
  return grounds;
}
