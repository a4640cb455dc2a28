import {
  bytesToReplicaId,
  type Certificate,
  certificateMessage,
  certificateToBytes,
  type Delta,
  deltaMessage,
  deriveReplicaId,
  equalBytes,
  headMessage,
  type HeadStatement,
  idToBytes,
  isStrictSignature,
  type ReplicaId,
  type RoomRef,
  rowToCertificate,
  type Store,
  type Verifier,
} from '@mangrove/protocol';

export type Verdict = 'valid' | 'SIGNATURE_INVALID' | 'UNCERTIFIED';

/** Who may write in a room, and whether a signature is theirs [SG1, SG3]. */
export class Certifier {
  readonly #verifier: Verifier;
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #publicKeys = new Map<ReplicaId, Uint8Array>();

  constructor(verifier: Verifier, store: Store, room: RoomRef) {
    this.#verifier = verifier;
    this.#store = store;
    this.#room = room;
  }

  /** Keeps those certificates that the issuer, a relay that the application connects to, has really signed. */
  async trust(issuer: Uint8Array, certificates: readonly Certificate[]): Promise<void> {
    const { hash, roomId } = this.#room;
    const shown = certificates
      .filter((certificate) => equalBytes(certificate.issuer, issuer))
      .map((certificate) => [deriveReplicaId(hash, roomId, certificate.publicKey), certificate] as const);
    // A large room shows thousands, and most of them each time.
    const known = new Set((await this.#publicKeysOf(shown.map(([replica]) => replica))).keys());
    const admitted: (readonly [ReplicaId, Certificate])[] = [];
    for (const [replica, certificate] of shown) {
      if (known.has(replica)) continue;
      const message = certificateMessage(roomId, certificate.publicKey, certificate.issuedAtMs);
      if (!(await this.#verify(certificate.issuer, message, certificate.signature))) continue;
      admitted.push([replica, certificate]);
      known.add(replica);
    }
    if (admitted.length === 0) return;
    await this.#store.transact(
      function* (tx) {
        for (const [replica, certificate] of admitted)
          tx.put('certificates', idToBytes(replica), certificateToBytes(certificate));
      },
      { mode: 'write', durability: 'relaxed' },
    );
    for (const [replica, certificate] of admitted) this.#publicKeys.set(replica, certificate.publicKey);
  }

  /** All that are known, for a relay that has lost its own [SG4]. */
  certificates(): Promise<readonly Certificate[]> {
    const room = this.#room;
    return this.#store.transact(
      function* (tx) {
        const rows = yield* tx.rows('certificates', { from: new Uint8Array() });
        return rows.map(([key, row]) => rowToCertificate(room, key, row));
      },
      { mode: 'read' },
    );
  }

  async verifyDelta(delta: Pick<Delta, 'id' | 'replica' | 'signature'>): Promise<Verdict> {
    const publicKey = await this.#publicKeyOf(delta.replica);
    if (publicKey === undefined) return 'UNCERTIFIED';
    return (await this.#verify(publicKey, deltaMessage(delta.id), delta.signature)) ? 'valid' : 'SIGNATURE_INVALID';
  }

  async verifyHead(statement: HeadStatement): Promise<boolean> {
    return (await this.judgeHead(statement)) === 'valid';
  }

  async judgeHead(statement: HeadStatement): Promise<Verdict> {
    const publicKey = await this.#publicKeyOf(statement.replica);
    if (publicKey === undefined) return 'UNCERTIFIED';
    const message = headMessage(this.#room.roomId, statement);
    return (await this.#verify(publicKey, message, statement.signature)) ? 'valid' : 'SIGNATURE_INVALID';
  }

  async #verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    return isStrictSignature(publicKey, signature) && this.#verifier.verify(publicKey, message, signature);
  }

  async #publicKeyOf(replica: ReplicaId): Promise<Uint8Array | undefined> {
    return this.#publicKeys.get(replica) ?? (await this.#publicKeysOf([replica])).get(replica);
  }

  /** Of those that are known, in one read. */
  async #publicKeysOf(replicas: readonly ReplicaId[]): Promise<ReadonlyMap<ReplicaId, Uint8Array>> {
    const unread = replicas.filter((replica) => !this.#publicKeys.has(replica)).map(idToBytes);
    const room = this.#room;
    // Read within the plan, so that a row that cannot be is mended [AE3].
    const certificates = await this.#store.transact(
      function* (tx) {
        const rows = yield* tx.getMany('certificates', unread);
        return rows.map((row, i) => row && rowToCertificate(room, unread[i] as Uint8Array, row));
      },
      { mode: 'read' },
    );
    for (const [i, certificate] of certificates.entries())
      if (certificate !== undefined)
        this.#publicKeys.set(bytesToReplicaId(unread[i] as Uint8Array), certificate.publicKey);
    return new Map(
      replicas.flatMap((replica) => {
        const publicKey = this.#publicKeys.get(replica);
        return publicKey === undefined ? [] : [[replica, publicKey] as const];
      }),
    );
  }
}
