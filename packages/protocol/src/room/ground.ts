import { u64ToBytes } from '../bytes.js';
import type { Ground, HeldDelta } from '../context.js';
import type { Delta } from '../delta.js';
import { HLC_ZERO, type Hlc } from '../hlc.js';
import { type DeltaId, idToBytes, type ReplicaId } from '../ids.js';
import { assertWhole } from '../merkle/node-table.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { isStandingKnown, readFloorsBeyond, readSeqOf } from './floor-rows.js';
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
  const replicas = new Set(
    held.flatMap(({ replica, context }) => [
      replica,
      ...context.stamps.keys(),
      ...context.dots.map((dot) => dot.replica),
    ]),
  );
  const reaches = yield* readReaches(tx, room, [...replicas]);
  if (reaches.size === 0) return [];
  const isLost = yield* isKeyLost(tx, first.keyId);
  const own = yield* readOwnReplica(tx);
  const floors = [...reaches.keys()];
  const isKnown = yield* together(floors.map((floor) => isStandingKnown(tx, floor)));
  const grounds: Ground[] = [];
  for (const [i, floor] of floors.entries()) {
    const { by, reach } = reaches.get(floor) as Reached;
    const isUnsent = by === own && (yield* tx.get('outbox', u64ToBytes(yield* readSeqOf(tx, floor)))) !== undefined;
    if (!isUnsent) grounds.push({ reach, isWhole: !isLost && (isKnown[i] as boolean) });
  }
  if (grounds.some((ground) => isReliedOn(ground, held))) yield* assertWhole(tx, idToBytes(first.keyId));
  return grounds;
}

interface Reached {
  /** Who wrote the floor. */
  readonly by: ReplicaId;
  readonly reach: Map<ReplicaId, Hlc>;
}

/** The floors that reach any of these replicas, and how far. */
function* readReaches(
  tx: Transaction,
  room: RoomRef,
  replicas: readonly ReplicaId[],
): Steps<ReadonlyMap<DeltaId, Reached>> {
  const rows = yield* readFloorsBeyond(
    tx,
    room,
    replicas.map((replica) => ({ replica, hlc: HLC_ZERO })),
  );
  const reaches = new Map<DeltaId, Reached>();
  for (const [i, replica] of replicas.entries())
    for (const { floor, by, hlc } of rows[i] as (typeof rows)[number]) {
      const reached = reaches.get(floor) ?? { by, reach: new Map() };
      reached.reach.set(replica, hlc);
      reaches.set(floor, reached);
    }
  return reaches;
}

/** Whether it may be by this ground that nothing of a replica lies unseen below a held delta. */
function isReliedOn({ reach, isWhole }: Ground, held: readonly HeldDelta[]): boolean {
  return isWhole && held.some(({ replica, prev }) => prev > 0 && prev <= (reach.get(replica) ?? 0));
}
