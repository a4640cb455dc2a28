import { equalBytes } from '../bytes.js';
import type { Place, Reach } from '../floor.js';
import { bytesToHeadStatement, type HeadStatement } from '../head-statement.js';
import { bytesToReplicaId, type ReplicaId } from '../ids.js';
import type { Limits } from '../limits.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { readNumber } from './meta.js';
import { readNewest, readProved } from './vector.js';

const EVERYTHING = { from: new Uint8Array() };

/** The newest statements of the replicas that a floor has to wait for, ascending by replica: all but the own and the expired ones [FL8]. */
export function* readKnown(
  tx: Transaction,
  own: ReplicaId,
  nowMs: number,
  { replicaExpiryMs }: Pick<Limits, 'replicaExpiryMs'>,
): Steps<readonly HeadStatement[]> {
  const rows = yield* tx.rows('heads', EVERYTHING);
  return rows
    .map(([, value]) => bytesToHeadStatement(value))
    .filter(({ replica, timeMs }) => replica !== own && timeMs > nowMs - replicaExpiryMs);
}

/**
 * How far a floor may reach [FL8]: for each replica what is proved here and acknowledged by all that are known, or what the held floors
 * reach already. Undefined where nothing can be said without believing what a held floor's writer knew and `isKnown` denies [FL9].
 */
export function* readNextReach(
  tx: Transaction,
  own: ReplicaId,
  root: Uint8Array,
  known: readonly HeadStatement[],
  held: Reach,
  isKnown: boolean,
  { floorReplicasMax }: Pick<Limits, 'floorReplicasMax'>,
): Steps<Reach | undefined> {
  const behind = known.filter((statement) => !equalBytes(statement.root, root));
  const replicas = (yield* tx.keys('vector', EVERYTHING)).map(bytesToReplicaId);
  const proved = new Map(yield* readProved(tx, replicas));
  // What this store sealed it knows, also over numbers of deltas that were refused and are nobody's.
  const newest = yield* readNewest(tx, own, yield* readNumber(tx, 'seq'));
  if (newest !== undefined && newest.seq > (proved.get(own)?.seq ?? 0)) proved.set(own, newest);
  const isProved = [...held].every(([replica, { seq }]) => (proved.get(replica)?.seq ?? 0) >= seq);
  if (!isKnown && !isProved) return undefined;
  const places = yield* together(
    replicas.map((replica) => {
      const acknowledged = Math.min(...behind.map(({ vector }) => vector.get(replica) ?? 0));
      return readPlace(tx, replica, proved.get(replica), acknowledged);
    }),
  );
  const reach = new Map(held);
  for (const [i, replica] of replicas.entries()) {
    const place = places[i];
    const before = held.get(replica);
    if (place === undefined || (before === undefined && reach.size >= floorReplicasMax)) continue;
    if (before === undefined || place.hlc > before.hlc) reach.set(replica, place);
  }
  return reach;
}

/** The join of what several floors reach. */
export function joinReaches(reaches: Iterable<Reach>): Reach {
  const joined = new Map<ReplicaId, Place>();
  for (const reach of reaches)
    for (const [replica, place] of reach) if (place.hlc > (joined.get(replica)?.hlc ?? 0)) joined.set(replica, place);
  return joined;
}

/** The proved place itself, or the newest held delta below it that all have acknowledged: of what is superseded no stamp is known. */
function* readPlace(
  tx: Transaction,
  replica: ReplicaId,
  proved: Place | undefined,
  acknowledged: number,
): Steps<Place | undefined> {
  if (proved === undefined || proved.seq === 0) return undefined;
  if (proved.hlc > 0 && proved.seq <= acknowledged) return proved;
  return yield* readNewest(tx, replica, Math.min(proved.seq, acknowledged));
}
