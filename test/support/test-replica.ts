import { randomBytes } from 'node:crypto';
import {
  type Delta,
  type DeltaHeader,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  EMPTY_CONTEXT,
  type HeadStatement,
  headMessage,
  type Hlc,
  hlcFromMs,
  makeUnsignedDelta,
  type ReplicaId,
  type RoomConfig,
  type RoomId,
  signDelta,
  tickHlc,
  type VersionVector,
} from '@mangrove/protocol';
import { hash, type Keys, makeKeys } from './keys.js';

export interface DraftOptions extends Partial<DeltaHeader> {
  /** Name of the document; one for all by default. */
  readonly document?: string;
  readonly body?: Uint8Array;
  /** Signs something else, so that the signature does not verify. */
  readonly forged?: boolean;
}

/** A writer of one room that makes real, signed deltas: honest by default, otherwise as asked. */
export class TestReplica {
  readonly name: string;
  readonly config: RoomConfig;
  readonly roomId: RoomId;
  readonly keys: Keys;
  readonly id: ReplicaId;
  #seq = 0;
  #clock = 0 as Hlc;

  constructor(name: string, options: { keys?: Keys; config?: RoomConfig } = {}) {
    this.name = name;
    this.config = options.config ?? { history: 'current', encrypted: false };
    this.roomId = deriveRoomId(hash, name, this.config);
    this.keys = options.keys ?? makeKeys();
    this.id = deriveReplicaId(hash, this.roomId, this.keys.publicKey);
  }

  /** The next delta of this replica, unless `seq` or anything else of the header is given. */
  draft({ document = 'notes', body = randomBytes(40), forged = false, ...header }: DraftOptions = {}): Delta {
    this.#clock = tickHlc(this.#clock, Date.now());
    const unsigned = makeUnsignedDelta(
      hash,
      this.roomId,
      {
        replica: this.id,
        seq: header.seq ?? ++this.#seq,
        keyId: deriveKeyId(hash, this.roomId, { kind: 'document', collection: '', id: document }),
        hlc: this.#clock,
        writtenAt: header.hlc ?? this.#clock,
        prev: 0 as Hlc,
        context: EMPTY_CONTEXT,
        flags: 0,
        nonces: [],
        ...header,
      },
      new Uint8Array(body),
    );
    return signDelta(unsigned, this.keys.sign(forged ? Uint8Array.of(1) : unsigned.message));
  }

  drafts(count: number, options: DraftOptions = {}): Delta[] {
    return Array.from({ length: count }, () => this.draft(options));
  }

  head(root: Uint8Array, vector: VersionVector, timeMs = Date.now()): HeadStatement {
    const claim = { replica: this.id, timeMs, root, headsRoot: new Uint8Array(32), vector };
    return { ...claim, signature: this.keys.sign(headMessage(this.roomId, claim)) };
  }
}

export { hlcFromMs };
