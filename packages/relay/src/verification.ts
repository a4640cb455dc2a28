import {
  bytesToCertificate,
  type Delta,
  deltaMessage,
  type HeadStatement,
  headMessage,
  idToBytes,
  isStrictSignature,
  type PushedDelta,
  type PushedStub,
  type Refusal,
  type ReplicaId,
  type RoomId,
  type Store,
  type Stub,
} from '@mangrove/protocol';
import type { RelayPorts } from './ports.js';

/** Public keys that are kept at hand for one room. */
const KEYS_MAX = 4_096;

/** Checks signatures against the certificates of one room [SY9]. */
export class RoomVerifier {
  readonly #ports: RelayPorts;
  readonly #roomId: RoomId;
  readonly #store: Store;
  readonly #keys = new Map<ReplicaId, Uint8Array>();
  /** Replicas that sent a bad signature over a proven connection: their word alone does not count any more. */
  readonly #distrusted = new Set<ReplicaId>();

  constructor(ports: RelayPorts, roomId: RoomId, store: Store) {
    this.#ports = ports;
    this.#roomId = roomId;
    this.#store = store;
  }

  /** Those that may be taken, in order, and why the others may not. */
  async sift<Pushed extends PushedDelta | PushedStub>(
    pushed: readonly Pushed[],
  ): Promise<{ passed: readonly Pushed[]; refusals: readonly Refusal[] }> {
    const isVerified = (item: Pushed): boolean => item.verify || this.#distrusted.has(signedOf(item).replica);
    if (!pushed.some(isVerified)) return { passed: pushed, refusals: [] };
    const checked = await Promise.all(
      pushed.map(async (item) => ({
        item,
        refusal: isVerified(item) ? await this.#refusalOf(signedOf(item)) : undefined,
      })),
    );
    return {
      passed: checked.flatMap(({ item, refusal }) => (refusal === undefined ? [item] : [])),
      refusals: checked.flatMap(({ refusal }) => refusal ?? []),
    };
  }

  distrust(replica: ReplicaId): void {
    this.#distrusted.add(replica);
  }

  /** Undefined without a certificate: then nobody can say. */
  async isSigned(delta: Delta | Stub): Promise<boolean | undefined> {
    this.#ports.counters.add('deltas_verified');
    return this.#verify(delta.replica, deltaMessage(delta.id), delta.signature);
  }

  async isHeadSigned(statement: HeadStatement): Promise<boolean> {
    const { signature, ...claim } = statement;
    return (await this.#verify(claim.replica, headMessage(this.#roomId, claim), signature)) === true;
  }

  async #refusalOf(delta: Delta | Stub): Promise<Refusal | undefined> {
    const isSigned = await this.isSigned(delta);
    if (isSigned === true) return undefined;
    const { replica, seq } = delta;
    return { replica, seq, code: isSigned === undefined ? 'UNCERTIFIED' : 'SIGNATURE_INVALID', facts: { replica } };
  }

  async #verify(replica: ReplicaId, message: Uint8Array, signature: Uint8Array): Promise<boolean | undefined> {
    const publicKey = await this.#keyOf(replica);
    if (publicKey === undefined) return undefined;
    return (
      isStrictSignature(publicKey, signature) && (await this.#ports.verifier.verify(publicKey, message, signature))
    );
  }

  async #keyOf(replica: ReplicaId): Promise<Uint8Array | undefined> {
    const known = this.#keys.get(replica);
    if (known !== undefined) return known;
    const row = await this.#store.transact((tx) => tx.get('certificates', idToBytes(replica)), { mode: 'read' });
    if (row === undefined) return undefined;
    const { publicKey } = bytesToCertificate(row);
    if (this.#keys.size >= KEYS_MAX) this.#keys.clear();
    this.#keys.set(replica, publicKey);
    return publicKey;
  }
}

function signedOf(item: PushedDelta | PushedStub): Delta | Stub {
  return 'stub' in item ? item.stub : item.delta;
}
