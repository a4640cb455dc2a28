import type { ReplicaId } from '@mangrove/protocol';

/** Who spoke within this time is taken to be there: a replica says how it stands as long as anything changes. */
const HEARD_MS = 60_000;

/**
 * Which other replicas are connected, as far as a replica can know: a relay tells who is there, comes and goes, and heads tell of those
 * beyond the first `peersToldMax` [SY12].
 */
export class Online {
  readonly #present = new Set<ReplicaId>();
  readonly #heardAtMs = new Map<ReplicaId, number>();

  /** A connection is tried: who is there is not known yet. */
  clear(): void {
    this.#present.clear();
    this.#heardAtMs.clear();
  }

  came(replica: ReplicaId, present: boolean): void {
    if (present) {
      this.#present.add(replica);
    } else {
      this.#present.delete(replica);
      this.#heardAtMs.delete(replica);
    }
  }

  said(replica: ReplicaId, timeMs: number): void {
    this.#heardAtMs.set(replica, timeMs);
  }

  replicas(nowMs: number): ReadonlySet<ReplicaId> {
    const heard = [...this.#heardAtMs].filter(([, timeMs]) => Math.abs(nowMs - timeMs) < HEARD_MS);
    return new Set([...this.#present, ...heard.map(([replica]) => replica)]);
  }
}
