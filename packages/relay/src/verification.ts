import {
  bytesToCertificate,
  bytesToReplicaId,
  concatBytes,
  type Delta,
  deltaMessage,
  type HeadStatement,
  headMessage,
  idToBytes,
  isStrictSignature,
  type PushedDelta,
  type PushedStub,
  type Refusal,
  REPLICA_ID_BYTES,
  type ReplicaId,
  type RoomId,
  type ShownKeys,
  type Store,
  type Stub,
} from '@mangrove/protocol';
import type { RelayPorts } from './ports.js';

/** Public keys that are kept at hand for one room. */
const KEYS_MAX = 4_096;
const DISTRUSTED_MAX = 1_024;

export interface Sifted<Pushed> {
  readonly passed: readonly Pushed[];
  readonly refusals: readonly Refusal[];
  /** Whose shown keys have signed something of what passed: these are to be certified before it is committed [SG4]. */
  readonly proven: readonly ReplicaId[];
}

interface Verdict {
  readonly refusal?: Refusal;
  readonly proven?: ReplicaId;
}

const PASSES: Verdict = {};

/** Checks signatures against the certificates of one room [SY9]. */
export class RoomVerifier {
  readonly #ports: RelayPorts;
  readonly #roomId: RoomId;
  readonly #store: Store;
  readonly #keys = new Map<ReplicaId, Uint8Array>();
  /** Replicas that sent a bad signature over a proven connection: their word alone does not count any more. Kept, as a room is opened often. */
  #distrusted: Promise<Set<ReplicaId>> | undefined;

  constructor(ports: RelayPorts, roomId: RoomId, store: Store) {
    this.#ports = ports;
    this.#roomId = roomId;
    this.#store = store;
  }

  /** Those that may be taken, in order, and why the others may not. `shown`: keys that count as well where there is no certificate. */
  async sift<Pushed extends PushedDelta | PushedStub>(
    pushed: readonly Pushed[],
    shown: ShownKeys | undefined,
  ): Promise<Sifted<Pushed>> {
    const distrusted = await (this.#distrusted ??= this.#readDistrusted());
    const isVerified = (item: Pushed): boolean => item.verify || distrusted.has(signedOf(item).replica);
    if (!pushed.some(isVerified)) return { passed: pushed, refusals: [], proven: [] };
    const checked = await Promise.all(
      pushed.map(async (item) => ({
        item,
        verdict: isVerified(item) ? await this.#judge(signedOf(item), shown) : PASSES,
      })),
    );
    return {
      passed: checked.flatMap(({ item, verdict }) => (verdict.refusal === undefined ? [item] : [])),
      refusals: checked.flatMap(({ verdict }) => verdict.refusal ?? []),
      proven: [...new Set(checked.flatMap(({ verdict }) => verdict.proven ?? []))],
    };
  }

  async distrust(replica: ReplicaId): Promise<void> {
    const distrusted = await (this.#distrusted ??= this.#readDistrusted());
    if (distrusted.has(replica)) return;
    // The one that was caught first has had most time to come back as another.
    const [first] = distrusted;
    if (first !== undefined && distrusted.size >= DISTRUSTED_MAX) distrusted.delete(first);
    distrusted.add(replica);
    await this.#ports.environment.putMeta(this.#distrustedName(), concatBytes(...[...distrusted].map(idToBytes)));
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

  /** By the key that was shown for it over the same connection, where there is no certificate. */
  async isHeadProven(statement: HeadStatement, shown: ShownKeys): Promise<boolean> {
    const { signature, ...claim } = statement;
    const key = shown.get(claim.replica);
    return key !== undefined && (await this.#isSignedBy(key, headMessage(this.#roomId, claim), signature));
  }

  async #readDistrusted(): Promise<Set<ReplicaId>> {
    const row = (await this.#ports.environment.getMeta(this.#distrustedName())) ?? new Uint8Array();
    const count = row.length / REPLICA_ID_BYTES;
    return new Set(
      Array.from({ length: count }, (_, i) =>
        bytesToReplicaId(row.slice(i * REPLICA_ID_BYTES, (i + 1) * REPLICA_ID_BYTES)),
      ),
    );
  }

  #distrustedName(): string {
    return `distrusted:${this.#roomId}`;
  }

  async #judge(delta: Delta | Stub, shown: ShownKeys | undefined): Promise<Verdict> {
    const isSigned = await this.isSigned(delta);
    if (isSigned === true) return PASSES;
    const { replica, seq, id, signature } = delta;
    const refused = (code: Refusal['code']): Verdict => ({ refusal: { replica, seq, code, facts: { replica } } });
    if (isSigned === false) return refused('SIGNATURE_INVALID');
    const key = shown?.get(replica);
    if (key === undefined) return refused('UNCERTIFIED');
    const isProven = await this.#isSignedBy(key, deltaMessage(id), signature);
    return isProven ? { proven: replica } : refused('SIGNATURE_INVALID');
  }

  async #verify(replica: ReplicaId, message: Uint8Array, signature: Uint8Array): Promise<boolean | undefined> {
    const publicKey = await this.#keyOf(replica);
    return publicKey === undefined ? undefined : await this.#isSignedBy(publicKey, message, signature);
  }

  async #isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
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
