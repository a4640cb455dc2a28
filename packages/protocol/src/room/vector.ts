import { bytesToU64, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import type { Delta } from '../delta.js';
import type { Hash } from '../hash.js';
import { bytesToReplicaId, idToBytes, type ReplicaId } from '../ids.js';
import { together } from '../merkle/node-table.js';
import { buildTrie } from '../merkle/trie.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { VersionVector } from '../version-vector.js';

const EVERYTHING = { from: new Uint8Array() };
const RUN = 256;

/** The whole vector: one entry for each replica. */
export function* readVectorRows(tx: Transaction): Steps<VersionVector> {
  const rows = yield* tx.rows('vector', EVERYTHING);
  return new Map(
    rows.map(([key, value]) => [bytesToReplicaId(key), bytesToU64(value)] as const).filter(([, seq]) => seq > 0),
  );
}

/**
 * How far the store reaches: for each replica of the vector its entry, or the highest seq held where that lies above a gap. It says what need
 * not be sent; what lacks below it is for the Merkle diff to find.
 */
export function* readReach(tx: Transaction, only?: ReadonlySet<ReplicaId>): Steps<VersionVector> {
  const rows = yield* tx.rows('vector', EVERYTHING);
  const vector = new Map(rows.map(([key, value]) => [bytesToReplicaId(key), bytesToU64(value)]));
  const replicas = [...vector.keys()].filter((replica) => only === undefined || only.has(replica));
  const lastDots = yield* together(
    replicas.map((replica) => {
      const from = idToBytes(replica);
      return tx.keys('dots', { from, to: prefixEnd(from), reverse: true, limit: 1 });
    }),
  );
  return new Map(
    replicas.map((replica, i) => {
      const [last] = lastDots[i] as readonly Uint8Array[];
      return [replica, Math.max(vector.get(replica) ?? 0, last === undefined ? 0 : bytesToU64(last, 8))];
    }),
  );
}

/** The entries of some replicas; absent ones are absent. */
export function* readSeqs(tx: Transaction, replicas: Iterable<ReplicaId>): Steps<ReadonlyMap<ReplicaId, number>> {
  const distinct = [...new Set(replicas)];
  const rows = yield* tx.getMany('vector', distinct.map(idToBytes));
  const seqs = new Map<ReplicaId, number>();
  for (const [i, replica] of distinct.entries()) {
    const row = rows[i];
    if (row !== undefined) seqs.set(replica, bytesToU64(row));
  }
  return seqs;
}

/** Moves each replica's entry over the new deltas, and over what was held above a gap that they close. */
export function* advanceVector(tx: Transaction, deltas: readonly Pick<Delta, 'replica' | 'seq'>[]): Steps<void> {
  const seqs = yield* readSeqs(
    tx,
    deltas.map((delta) => delta.replica),
  );
  const arrivedByReplica = new Map<ReplicaId, Set<number>>();
  for (const { replica, seq } of deltas) {
    const arrived = arrivedByReplica.get(replica);
    if (arrived === undefined) arrivedByReplica.set(replica, new Set([seq]));
    else arrived.add(seq);
  }
  for (const [replica, arrived] of arrivedByReplica) {
    const before = seqs.get(replica) ?? 0;
    let seq = before;
    // In turns: what was superseded on arrival has no row in `dots`, what came earlier is in no batch.
    while (arrived.has(seq + 1)) seq = yield* runOfDots(tx, replica, seq + 1);
    // A row of 0 says that there is such a replica, though its first delta is missing.
    if (seq > before || !seqs.has(replica)) tx.put('vector', idToBytes(replica), u64ToBytes(seq));
  }
}

/** Takes back what an entry says of a dot that is neither held nor covered any more [SY3]. */
export function* retractVector(tx: Transaction, { replica, seq }: Pick<Delta, 'replica' | 'seq'>): Steps<void> {
  if (((yield* readSeqs(tx, [replica])).get(replica) ?? 0) < seq) return;
  if (seq === 1) tx.delete('vector', idToBytes(replica));
  else tx.put('vector', idToBytes(replica), u64ToBytes(seq - 1));
}

/** Begins entries anew from the dots that are held: how far they were covered is not known any more. */
export function* restartVector(tx: Transaction, replicas: Iterable<ReplicaId>): Steps<void> {
  for (const replica of replicas) {
    const seq = yield* runOfDots(tx, replica, 0);
    if (seq === 0) tx.delete('vector', idToBytes(replica));
    else tx.put('vector', idToBytes(replica), u64ToBytes(seq));
  }
}

/** Raises the entries to another's: right only when both have equal roots [SY3]. */
export function* adoptVector(tx: Transaction, vector: VersionVector): Steps<void> {
  const seqs = yield* readSeqs(tx, vector.keys());
  for (const [replica, seq] of vector) {
    if (seq <= (seqs.get(replica) ?? 0)) continue;
    tx.put('vector', idToBytes(replica), u64ToBytes(yield* runOfDots(tx, replica, seq)));
  }
}

/** [MK5] */
export function headsRootOf(hash: Hash, vector: VersionVector): Uint8Array {
  const keys = [...vector]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([replica, seq]) => concatBytes(idToBytes(replica), u64ToBytes(seq)));
  return buildTrie(hash, keys).root;
}

/** The end of the unbroken run of held dots that begins right after `seq`. */
function* runOfDots(tx: Transaction, replica: ReplicaId, seq: number): Steps<number> {
  const prefix = idToBytes(replica);
  let last = seq;
  for (;;) {
    const keys = yield* tx.keys('dots', {
      from: concatBytes(prefix, u64ToBytes(last + 1)),
      to: prefixEnd(prefix),
      limit: RUN,
    });
    for (const key of keys) {
      if (bytesToU64(key, 8) !== last + 1) return last;
      last++;
    }
    if (keys.length < RUN) return last;
  }
}
