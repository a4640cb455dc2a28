import type { ReplicaId } from './ids.js';

/** For each replica the highest sequence number up to which everything is held or covered [SY3]. */
export type VersionVector = ReadonlyMap<ReplicaId, number>;

/** The least vector above both: a join of semilattices. */
export function mergeVectors(a: VersionVector, b: VersionVector): VersionVector {
  const merged = new Map(a);
  for (const [replica, seq] of b) merged.set(replica, Math.max(seq, merged.get(replica) ?? 0));
  return merged;
}

/** True when `a` reaches everything that `b` reaches. */
export function isAtLeast(a: VersionVector, b: VersionVector): boolean {
  for (const [replica, seq] of b) if ((a.get(replica) ?? 0) < seq) return false;
  return true;
}

/** True when the vector reaches the given dot. */
export function reaches(vector: VersionVector, dot: { readonly replica: ReplicaId; readonly seq: number }): boolean {
  return (vector.get(dot.replica) ?? 0) >= dot.seq;
}
