import {
  bytesToCertificate,
  type Certificate,
  certificateMessage,
  certificateToBytes,
  deriveReplicaId,
  equalBytes,
  idToBytes,
  type ReplicaId,
  type RoomRef,
  type ShownKeys,
  type Steps,
  type Store,
  successor,
  type Transaction,
} from '@mangrove/protocol';
import type { RelayPorts } from './ports.js';

const COUNT_PAGE = 4_096;

/** The log of a fleet, through which they go. */
interface SharedLog {
  certify(certificates: readonly Certificate[]): Promise<void>;
}

/** The certificates of one room: which there are, and new ones of this relay [SG3, SG4]. */
export class RoomCertificates {
  readonly #ports: RelayPorts;
  readonly #room: RoomRef;
  readonly #store: Store;
  /** Where they go through a log, which tells of them. */
  readonly #shared: SharedLog | undefined;
  /** How many there are; counted when it is first asked for. */
  #count: number | undefined;

  constructor(ports: RelayPorts, room: RoomRef, store: Store, shared?: SharedLog) {
    this.#ports = ports;
    this.#room = room;
    this.#store = store;
    this.#shared = shared;
  }

  /** Certificates of this relay for the keys that have none of it yet; those that were written. */
  async issue(publicKeys: readonly Uint8Array[]): Promise<readonly Certificate[]> {
    const { keys, held } = await this.#lookUp(publicKeys);
    const { relayKey } = this.#ports.identity;
    for (const [replica, { issuer }] of held) if (equalBytes(issuer, relayKey)) keys.delete(replica);
    if (keys.size === 0) return [];
    const issued = await Promise.all(
      [...keys].map(async ([replica, key]) => ({ replica, certificate: await this.#sign(key) })),
    );
    if (this.#shared !== undefined) {
      await this.#shared.certify(issued.map(({ certificate }) => certificate));
      return [];
    }
    await this.#store.transact(
      function* (tx) {
        for (const { replica, certificate } of issued)
          tx.put('certificates', idToBytes(replica), certificateToBytes(certificate));
      },
      { mode: 'write', durability: 'strict' },
    );
    if (this.#count !== undefined) this.#count += issued.filter(({ replica }) => !held.has(replica)).length;
    return issued.map(({ certificate }) => certificate);
  }

  /**
   * Takes note of keys that a connection shows. Those whose certificate here is of another issuer get a new one at once; those without any wait in
   * `shown`. `left`: those that found no room there.
   */
  async show(
    shown: ShownKeys,
    publicKeys: readonly Uint8Array[],
  ): Promise<{ readonly issued: readonly Certificate[]; readonly left: readonly ReplicaId[] }> {
    const { keys, held } = await this.#lookUp(publicKeys);
    const known = [...keys].filter(([replica]) => held.has(replica));
    const unknown = [...keys].filter(([replica]) => !held.has(replica));
    const left = shown.add(
      this.#room,
      unknown.map(([, key]) => key),
    );
    return { issued: await this.issue(known.map(([, key]) => key)), left };
  }

  /** Others have come. */
  noticed(): void {
    this.#count = undefined;
  }

  /** Whether more may be issued for keys that are shown: who comes to write gets one in any case. */
  async hasRoom(): Promise<boolean> {
    this.#count ??= await this.#countAll();
    return this.#count < this.#ports.limits.certificatesMax;
  }

  async #countAll(): Promise<number> {
    let count = 0;
    for (let from: Uint8Array | undefined = new Uint8Array(); from !== undefined; ) {
      const range = { from, limit: COUNT_PAGE };
      const keys: readonly Uint8Array[] = await this.#store.transact((tx) => tx.keys('certificates', range), {
        mode: 'read',
      });
      count += keys.length;
      const last = keys.at(-1);
      from = keys.length < COUNT_PAGE || last === undefined ? undefined : successor(last);
    }
    return count;
  }

  async #lookUp(publicKeys: readonly Uint8Array[]) {
    const { hash, roomId } = this.#room;
    const keys = new Map(publicKeys.map((key) => [deriveReplicaId(hash, roomId, key), key]));
    const held = await this.#store.transact((tx) => readCertificates(tx, [...keys.keys()]), { mode: 'read' });
    return { keys, held };
  }

  async #sign(publicKey: Uint8Array): Promise<Certificate> {
    const { clock, identity } = this.#ports;
    const issuedAtMs = clock.nowMs();
    const signature = await identity.sign(certificateMessage(this.#room.roomId, publicKey, issuedAtMs));
    return { publicKey, issuedAtMs, issuer: identity.relayKey, signature };
  }
}

export function* readCertificates(
  tx: Transaction,
  replicas: readonly ReplicaId[],
): Steps<ReadonlyMap<ReplicaId, Certificate>> {
  const rows = yield* tx.getMany('certificates', replicas.map(idToBytes));
  return new Map(
    replicas.flatMap((replica, i) => {
      const row = rows[i];
      return row === undefined ? [] : [[replica, bytesToCertificate(row)] as const];
    }),
  );
}
