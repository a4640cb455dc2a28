import type { ReplicaId } from '@mangrove/protocol';

/** Who spoke within this time is taken to be there: a replica says how it stands as long as anything changes. */
const HEARD_MS = 60_000;

/** Which other replicas are connected, as far as a replica can know: the relay tells who comes and goes, heads who was there before. */
export class Online {
  readonly #present = new Set<ReplicaId>();
  readonly #heardAtMs = new Map<ReplicaId, number>();

  /** `all`, true: a connection has begun; who is there is not known yet. */
  came(replica: ReplicaId | 'all', present: boolean): void {
    if (replica === 'all') {
      this.#present.clear();
      this.#heardAtMs.clear();
    } else if (present) {
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
