import { bytesToU64, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { type Delta, parseTrieKey, TRIE_KEY_BYTES } from '../delta.js';
import type { Place } from '../floor.js';
import type { Hash } from '../hash.js';
import { HLC_ZERO, type Hlc } from '../hlc.js';
import { bytesToReplicaId, idToBytes, type ReplicaId } from '../ids.js';
import { together } from '../merkle/node-table.js';
import { buildTrie } from '../merkle/trie.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { VersionVector } from '../version-vector.js';

const EVERYTHING = { from: new Uint8Array() };
const RUN = 256;
/** One row of `vector`. */
export const ENTRY_BYTES = 24;

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

/** Moves each replica's entry over the new deltas, and over what was held above a gap that they close. */
export function* advanceVector(
  tx: Transaction,
  deltas: readonly Pick<Delta, 'replica' | 'seq' | 'hlc'>[],
): Steps<void> {
  const arrivedByReplica = new Map<ReplicaId, Map<number, Hlc>>();
  for (const { replica, seq, hlc } of deltas) {
    const arrived = arrivedByReplica.get(replica);
    if (arrived === undefined) arrivedByReplica.set(replica, new Map([[seq, hlc]]));
    else arrived.set(seq, hlc);
  }
  const entries = yield* readEntries(tx, [...arrivedByReplica.keys()]);
  for (const [i, [replica, arrived]] of [...arrivedByReplica].entries()) {
    const before = entries[i];
    const seq = yield* runOver(tx, replica, before?.seq ?? 0, arrived);
    const from = before?.proved.seq ?? 0;
    const end = from === (before?.seq ?? 0) ? seq : yield* runOver(tx, replica, from, arrived);
    const proved =
      end === from
        ? (before?.proved ?? NOWHERE)
        : { seq: end, hlc: arrived.get(end) ?? (yield* hlcAt(tx, replica, end)) };
    // A row of 0 says that there is such a replica, though its first delta is missing.
    if (before === undefined || seq > before.seq || end > from) putEntry(tx, replica, { seq, proved });
  }
}

/** Takes back what an entry says of a dot that is neither held nor covered any more [SY3]. */
export function* retractVector(tx: Transaction, { replica, seq }: Pick<Delta, 'replica' | 'seq'>): Steps<void> {
  const [entry] = yield* readEntries(tx, [replica]);
  if (entry === undefined || Math.max(entry.seq, entry.proved.seq) < seq) return;
  const below = Math.min(entry.seq, seq - 1);
  const proved = entry.proved.seq < seq ? entry.proved : { seq: seq - 1, hlc: yield* hlcAt(tx, replica, seq - 1) };
  if (below === 0 && proved.seq === 0) tx.delete('vector', idToBytes(replica));
  else putEntry(tx, replica, { seq: below, proved });
}

/** Begins entries anew from the dots that are held: how far they were covered is not known any more. */
export function* restartVector(tx: Transaction, replicas: Iterable<ReplicaId>): Steps<void> {
  for (const replica of replicas) {
    const seq = yield* runOfDots(tx, replica, 0);
    if (seq === 0) tx.delete('vector', idToBytes(replica));
    else putEntry(tx, replica, { seq, proved: { seq, hlc: yield* hlcAt(tx, replica, seq) } });
  }
}

/** Raises the entries to another's: right only when both have equal roots [SY3], and never proof, as a relay may say so [FL7]. */
export function* adoptVector(tx: Transaction, vector: VersionVector): Steps<void> {
  const replicas = [...vector.keys()];
  const entries = yield* readEntries(tx, replicas);
  for (const [i, replica] of replicas.entries()) {
    const seq = vector.get(replica) as number;
    const { seq: before, proved } = entries[i] ?? { seq: 0, proved: NOWHERE };
    if (seq > before) putEntry(tx, replica, { seq: yield* runOfDots(tx, replica, seq), proved });
  }
}

/**
 * Takes everything of a replica up to its newest delta in the set for proved: right only where the replica itself has said that it has this
 * very set, as it knows what it sealed [FL7].
 */
export function* proveNewest(tx: Transaction, replica: ReplicaId): Steps<void> {
  const newest = yield* readNewest(tx, replica, Number.MAX_SAFE_INTEGER - 1);
  const [entry] = yield* readEntries(tx, [replica]);
  if (newest === undefined || newest.seq <= (entry?.proved.seq ?? 0)) return;
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

interface Entry {
  readonly seq: number;
  readonly proved: Place;
}

const NOWHERE: Place = { seq: 0, hlc: HLC_ZERO };

function* readEntries(tx: Transaction, replicas: readonly ReplicaId[]): Steps<readonly (Entry | undefined)[]> {
  const rows = yield* tx.getMany('vector', replicas.map(idToBytes));
  return rows.map((row) => {
    if (row === undefined) return undefined;
    // A row from before floors tells nothing of what is proved.
    const proved = row.length < ENTRY_BYTES ? NOWHERE : { seq: bytesToU64(row, 8), hlc: bytesToU64(row, 16) as Hlc };
    return { seq: bytesToU64(row), proved };
  });
}

function putEntry(tx: Transaction, replica: ReplicaId, { seq, proved }: Entry): void {
  tx.put('vector', idToBytes(replica), concatBytes(u64ToBytes(seq), u64ToBytes(proved.seq), u64ToBytes(proved.hlc)));
}

/** In turns: what was superseded on arrival has no row in `dots`, what came earlier is in no batch. */
function* runOver(tx: Transaction, replica: ReplicaId, from: number, arrived: ReadonlyMap<number, Hlc>): Steps<number> {
  let seq = from;
  while (arrived.has(seq + 1)) seq = yield* runOfDots(tx, replica, seq + 1);
  return seq;
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
