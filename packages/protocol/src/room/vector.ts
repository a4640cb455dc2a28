import { bytesToU64, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { type Delta, parseTrieKey, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import type { Place } from '../floor.js';
import type { Hash } from '../hash.js';
import { HLC_ZERO, type Hlc } from '../hlc.js';
import { bytesToReplicaId, idToBytes, type ReplicaId } from '../ids.js';
import { buildTrie } from '../merkle/trie.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import type { VersionVector } from '../version-vector.js';
import { firstLostAfter, forgetAllFound, forgetLost } from './lost.js';
import { type Claim, NOWHERE, putEntry, readEntries, rowToEntry } from './vector-entry.js';

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

/** How far own knowledge of a replica goes, without a relay's word [FL7]. `hlc` is 0 where the delta there was never here. */
export function* readProved(tx: Transaction, replicas: Iterable<ReplicaId>): Steps<ReadonlyMap<ReplicaId, Place>> {
  const distinct = [...new Set(replicas)];
  const entries = yield* readEntries(tx, distinct);
  return new Map(distinct.flatMap((replica, i) => (entries[i] ? [[replica, entries[i].proved] as const] : [])));
}

/**
 * Moves each replica's entry over the new deltas, and over what was held above a gap that they close. True where one of the entries is in
 * doubt: what has come may be what was lost.
 */
export function* advanceVector(tx: Transaction, deltas: readonly Delta[]): Steps<boolean> {
  const arrivedByReplica = new Map<ReplicaId, Map<number, Delta>>();
  for (const delta of deltas) {
    const arrived = arrivedByReplica.get(delta.replica);
    if (arrived === undefined) arrivedByReplica.set(delta.replica, new Map([[delta.seq, delta]]));
    else arrived.set(delta.seq, delta);
  }
  const entries = yield* readEntries(tx, [...arrivedByReplica.keys()]);
  let isAnyInDoubt = false;
  for (const [i, [replica, arrived]] of [...arrivedByReplica].entries()) {
    const before = entries[i];
    const isInDoubt = before?.claim !== undefined;
    if (isInDoubt) for (const delta of arrived.values()) forgetLost(tx, { ...delta, trieKey: trieKeyOf(delta) });
    isAnyInDoubt ||= isInDoubt;
    const seq = yield* runOver(tx, replica, before?.seq ?? 0, arrived, isInDoubt);
    const from = before?.proved.seq ?? 0;
    const end = from === (before?.seq ?? 0) ? seq : yield* runOver(tx, replica, from, arrived, isInDoubt);
    const proved =
      end === from
        ? (before?.proved ?? NOWHERE)
        : { seq: end, hlc: arrived.get(end)?.hlc ?? (yield* hlcAt(tx, replica, end)) };
    // A row of 0 says that there is such a replica, though its first delta is missing.
    if (before === undefined || seq > before.seq || end > from)
      putEntry(tx, replica, { seq, proved, claim: before?.claim });
  }
  return isAnyInDoubt;
}

/** Takes back what an entry says of a dot that is neither held nor covered any more [SY3]. */
export function* retractVector(tx: Transaction, { replica, seq }: Pick<Delta, 'replica' | 'seq'>): Steps<void> {
  const [entry] = yield* readEntries(tx, [replica]);
  if (entry === undefined) return;
  const below = yield* lowered(tx, replica, entry, seq - 1);
  const claim = entry.claim && (yield* lowered(tx, replica, entry.claim, seq - 1));
  if (below.seq === 0 && below.proved.seq === 0 && claim === undefined) tx.delete('vector', idToBytes(replica));
  else putEntry(tx, replica, { ...below, claim });
}

/** Begins entries anew from the dots that are held: how far they were covered is not known any more. */
export function* restartVector(tx: Transaction, replicas: Iterable<ReplicaId>): Steps<void> {
  const distinct = [...new Set(replicas)];
  const entries = yield* readEntries(tx, distinct);
  for (const [i, replica] of distinct.entries()) {
    const seq = yield* runOfHeld(tx, replica, 0, true);
    const place = { seq, proved: { seq, hlc: yield* hlcAt(tx, replica, seq) } };
    const isInDoubt = entries[i]?.claim !== undefined;
    if (seq === 0 && !isInDoubt) tx.delete('vector', idToBytes(replica));
    else putEntry(tx, replica, { ...place, claim: isInDoubt ? place : undefined });
  }
}

/**
 * Lowers an entry to what stands without something that was lost, and keeps what it claimed: to below the seq that was lost, or, where others
 * may have been covered by that alone, to the run of dots that are held [AE6]. True where it said something else.
 */
export function* doubtVector(tx: Transaction, replica: ReplicaId, lostSeq?: number): Steps<boolean> {
  const [entry] = yield* readEntries(tx, [replica]);
  if (entry === undefined) return false;
  const stands = lostSeq === undefined ? yield* runOfHeld(tx, replica, 0, true) : lostSeq - 1;
  const below = yield* lowered(tx, replica, entry, stands);
  const { seq, proved } = entry;
  if (entry.claim !== undefined && below.seq === seq && below.proved === proved) return false;
  putEntry(tx, replica, { ...below, claim: entry.claim ?? { seq, proved } });
  return true;
}

/** Once all that was lost is back, or gone for good reason, each entry says again what it claimed, and goes on from there. */
export function* settleVector(tx: Transaction, isFound: (trieKey: Uint8Array) => Steps<boolean>): Steps<void> {
  if (!(yield* forgetAllFound(tx, isFound))) return;
  for (const [key, row] of yield* tx.rows('vector', EVERYTHING)) {
    const { claim, ...now } = rowToEntry(row);
    if (claim === undefined) continue;
    const replica = bytesToReplicaId(key);
    const seq = yield* runOfDots(tx, replica, Math.max(now.seq, claim.seq));
    const proved = now.proved.seq > claim.proved.seq ? now.proved : claim.proved;
    const end = yield* runOfDots(tx, replica, proved.seq);
    const last = end === proved.seq ? proved : { seq: end, hlc: yield* hlcAt(tx, replica, end) };
    putEntry(tx, replica, { seq, proved: last });
  }
}

/** Raises the entries to another's: right only when both have equal roots [SY3], and never proof, as a relay may say so [FL7]. */
export function* adoptVector(tx: Transaction, vector: VersionVector): Steps<void> {
  const replicas = [...vector.keys()];
  const entries = yield* readEntries(tx, replicas);
  for (const [i, replica] of replicas.entries()) {
    const told = vector.get(replica) as number;
    const { seq: before, proved, claim } = entries[i] ?? { seq: 0, proved: NOWHERE };
    if (told <= before) continue;
    putEntry(tx, replica, { seq: yield* runOfHeld(tx, replica, told, claim !== undefined), proved, claim });
  }
}

/**
 * Takes everything of a replica up to its newest delta in the set for proved: right only where the replica itself has said that it has this
 * very set, as it knows what it sealed [FL7].
 */
export function* proveNewest(tx: Transaction, replica: ReplicaId): Steps<void> {
  const newest = yield* readNewest(tx, replica, Number.MAX_SAFE_INTEGER - 1);
  const [entry] = yield* readEntries(tx, [replica]);
  // What is lost has left its dot, and is not in the set.
  if (newest === undefined || entry?.claim !== undefined || newest.seq <= (entry?.proved.seq ?? 0)) return;
  putEntry(tx, replica, { seq: entry?.seq ?? 0, proved: newest });
}

/** The newest delta of a replica in the set with a seq of at most `seqMax`; where its replica has forked, with the lowest stamp. */
export function* readNewest(tx: Transaction, replica: ReplicaId, seqMax: number): Steps<Place | undefined> {
  const from = idToBytes(replica);
  const to = concatBytes(from, u64ToBytes(seqMax + 1));
  const [row] = yield* tx.rows('dots', { from, to, reverse: true, limit: 1 });
  return row && { seq: bytesToU64(row[0], 8), hlc: lowestHlc(row[1]) };
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

/** In turns: what was superseded on arrival has no row in `dots`, what came earlier is in no batch. */
function* runOver(
  tx: Transaction,
  replica: ReplicaId,
  from: number,
  arrived: ReadonlyMap<number, Delta>,
  isInDoubt: boolean,
): Steps<number> {
  let seq = from;
  while (arrived.has(seq + 1)) seq = yield* runOfHeld(tx, replica, seq + 1, isInDoubt);
  return seq;
}

/** As {@link runOfDots}; where something may be lost, its dot is there and ends the run. */
function* runOfHeld(tx: Transaction, replica: ReplicaId, seq: number, isInDoubt: boolean): Steps<number> {
  const end = yield* runOfDots(tx, replica, seq);
  const lost = isInDoubt && end > seq ? yield* firstLostAfter(tx, replica, seq) : undefined;
  return lost === undefined ? end : Math.min(end, lost - 1);
}

/** What an entry says up to `seqMax`. */
function* lowered(tx: Transaction, replica: ReplicaId, { seq, proved }: Claim, seqMax: number): Steps<Claim> {
  const isBelow = proved.seq <= seqMax;
  const place = isBelow ? proved : { seq: seqMax, hlc: yield* hlcAt(tx, replica, seqMax) };
  return { seq: Math.min(seq, seqMax), proved: place };
}

/** The stamp of a held dot, 0 where it is not held; the lowest one where its replica has forked. */
function* hlcAt(tx: Transaction, replica: ReplicaId, seq: number): Steps<Hlc> {
  const row = yield* tx.get('dots', concatBytes(idToBytes(replica), u64ToBytes(seq)));
  return row === undefined ? HLC_ZERO : lowestHlc(row);
}

/** The lowest stamp of the deltas of one row of `dots`. */
function lowestHlc(row: Uint8Array): Hlc {
  let lowest = Number.POSITIVE_INFINITY;
  for (let at = 0; at < row.length; at += TRIE_KEY_BYTES)
    lowest = Math.min(lowest, parseTrieKey(row.subarray(at, at + TRIE_KEY_BYTES)).hlc);
  return lowest as Hlc;
}
