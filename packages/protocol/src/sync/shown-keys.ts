import { deriveReplicaId, type ReplicaId } from '../ids.js';
import type { RoomRef } from '../room/room-ref.js';

/**
 * [SG4] Keys that the peer of one connection has shown to a relay that knows nothing of them. That somebody shows a key says nothing: it is made up
 * in a moment. It waits here until something that it has signed comes over the same connection, which is what it is needed for.
 */
export class ShownKeys {
  readonly #keys = new Map<ReplicaId, Uint8Array>();
  #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** A relay shows as many as a room has. */
  widen(countMax: number): void {
    this.#countMax = countMax;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** All of them, in the order in which they were shown. */
  get all(): readonly Uint8Array[] {
    return [...this.#keys.values()];
  }

  /** Those for which there is no room any more. */
  add({ hash, roomId }: Pick<RoomRef, 'hash' | 'roomId'>, publicKeys: readonly Uint8Array[]): readonly ReplicaId[] {
    const left: ReplicaId[] = [];
    for (const publicKey of publicKeys) {
      const replica = deriveReplicaId(hash, roomId, publicKey);
      if (this.#keys.has(replica)) continue;
      if (this.#keys.size >= this.#countMax) left.push(replica);
      // A view would keep all of the message.
      else this.#keys.set(replica, publicKey.slice());
    }
    return left;
  }

  get(replica: ReplicaId): Uint8Array | undefined {
    return this.#keys.get(replica);
  }

  /** The keys of these, which are to have a certificate and wait here no more. */
  take(replicas: readonly ReplicaId[]): readonly Uint8Array[] {
    return replicas.flatMap((replica) => {
      const key = this.#keys.get(replica);
      this.#keys.delete(replica);
      return key ?? [];
    });
  }
}
