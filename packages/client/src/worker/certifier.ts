import {
  bytesToHex,
  type Certificate,
  certificateMessage,
  certificateToBytes,
  type Delta,
  deltaMessage,
  deriveReplicaId,
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
    const issuerHex = bytesToHex(issuer);
    const admitted: [ReplicaId, Certificate][] = [];
    for (const certificate of certificates) {
      const replica = deriveReplicaId(this.#room.hash, this.#room.roomId, certificate.publicKey);
      if (bytesToHex(certificate.issuer) !== issuerHex || (await this.#publicKeyOf(replica)) !== undefined) continue;
      const message = certificateMessage(this.#room.roomId, certificate.publicKey, certificate.issuedAtMs);
      if (await this.#verify(certificate.issuer, message, certificate.signature)) admitted.push([replica, certificate]);
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
    const known = this.#publicKeys.get(replica);
    if (known !== undefined) return known;
    const key = idToBytes(replica);
    const room = this.#room;
    // Read within the plan, so that a row that cannot be is mended [AE3].
    const publicKey = await this.#store.transact(
      function* (tx) {
        const row = yield* tx.get('certificates', key);
        return row && rowToCertificate(room, key, row).publicKey;
      },
      { mode: 'read' },
    );
    if (publicKey === undefined) return undefined;
    this.#publicKeys.set(replica, publicKey);
    return publicKey;
  }
}
