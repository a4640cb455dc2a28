import type { Certificate } from '../certificate.js';
import type { ErrorCode } from '../errors.js';
import type { HeadStatement } from '../head-statement.js';
import type { KeyId, ReplicaId, RoomId } from '../ids.js';
import type { DiffMessage } from '../merkle/diff.js';
import type { Position } from '../room/log.js';
import type { VersionVector } from '../version-vector.js';

/** A delta's bytes as they were signed, or its stub's [DL10]; whoever needs the fields decodes them. */
export type DeltaBytes = Uint8Array;

export type Right = 'read' | 'write' | 'admin';

/** A place in the log of one relay store [SY2]. */
export interface Cursor {
  readonly storeId: Uint8Array;
  readonly offset: number;
  readonly roll: Uint8Array;
}

/** The relay's first word [SY1]. */
export interface Welcome {
  readonly kind: 'welcome';
  readonly version: number;
  readonly storeId: Uint8Array;
  readonly relayKey: Uint8Array;
  readonly challenge: Uint8Array;
}

/** The client's first word. The token is here and nowhere else: not in a URL, not in a log. */
export interface Hello {
  readonly kind: 'hello';
  readonly version: number;
  readonly roomId: RoomId;
  readonly config: number;
  readonly publicKey: Uint8Array;
  readonly token: string | undefined;
  readonly cursor: Cursor | undefined;
  /** Bytes of deltas that the relay may send before it is granted more [SY17]. */
  readonly window: number;
  /** Signature over room, relay key, store id and challenge. */
  readonly proof: Uint8Array;
}

export interface Admitted {
  readonly kind: 'admitted';
  readonly rights: readonly Right[];
  /** Undefined without the right to write. */
  readonly certificate: Certificate | undefined;
  /** True when the cursor counts and the log follows from there; otherwise the client asks by vector [SY2, SY3]. */
  readonly resumed: boolean;
  /** The highest `seq` that the relay knows of this replica: evidence of a copied profile when it is above the replica's own. */
  readonly lastSeq: number;
  /** The first bytes of the id of the delta with that number, where the replica pushed it itself: evidence when the replica has another [SY24]. */
  readonly lastId: Uint8Array | undefined;
  /** Bytes of deltas that the client may push before it is granted more [SY17]. */
  readonly window: number;
}

/** Something was refused. The connection lives unless it is closed right after. */
export interface Fault {
  readonly kind: 'fault';
  readonly code: ErrorCode;
  readonly facts: Readonly<Record<string, string | number>>;
}

export interface Certificates {
  readonly kind: 'certificates';
  readonly certificates: readonly Certificate[];
}

/** Client to relay. `repair`: found missing at the relay, of any author. */
export interface Push {
  readonly kind: 'push';
  readonly repair: boolean;
  readonly deltas: readonly DeltaBytes[];
}

/** Relay to client. Without a position they came out of order: by vector or by Merkle diff. */
export interface Deltas {
  readonly kind: 'deltas';
  /** `root` is left out inside a catch-up, where it would say nothing; `later` where the position follows when things are quieter [SY22]. */
  readonly position:
    | { readonly offset: number; readonly roll: Uint8Array; readonly root: Uint8Array | undefined }
    | 'later'
    | undefined;
  readonly deltas: readonly DeltaBytes[];
}

/** The end of a catch-up: where the relay stands, and how far the replicas met on the way have come [SY3]. */
export interface CaughtUp {
  readonly kind: 'caught-up';
  readonly position: Position;
  readonly vector: VersionVector;
}

/** These own deltas are on the relay's disk [SY6]. Without a position this follows when things are quieter [SY22]. */
export interface Ack {
  readonly kind: 'ack';
  readonly seqs: readonly number[];
  readonly position: Position | undefined;
}

/** One pushed delta was refused; the others of its push are not affected [SY7]. */
export interface Refused {
  readonly kind: 'refused';
  readonly replica: ReplicaId;
  readonly seq: number;
  readonly code: ErrorCode;
  readonly facts: Readonly<Record<string, string | number>>;
}

/** Asks for all that this vector does not reach, and how far the other reaches [SY3]. */
export interface Pull {
  readonly kind: 'pull';
  readonly vector: VersionVector;
}

/** Of the replicas that were pulled those that the relay reaches less far, with how far: so that the client can send what it lacks. */
export interface Vector {
  readonly kind: 'vector';
  readonly vector: VersionVector;
}

export interface Diff extends DiffMessage {
  readonly kind: 'diff';
}

/** A replica says what it holds [SY11]. */
export interface Head {
  readonly kind: 'head';
  readonly statement: HeadStatement;
}

/** What others have said, in the order of their times [SY23]. */
export interface Heads {
  readonly kind: 'heads';
  readonly statements: readonly HeadStatement[];
}

/** A client met a bad signature [SY10]. */
export interface Report {
  readonly kind: 'report';
  readonly trieKey: Uint8Array;
}

/** Presence of one tab in one document; opaque, forwarded, never stored [SY12]. */
export interface Presence {
  readonly kind: 'presence';
  readonly replica: ReplicaId;
  readonly tab: number;
  readonly keyId: KeyId;
  readonly state: Uint8Array;
}

/** A replica came (its presence is asked for) or went (its presence is over) [SY12]. */
export interface Peer {
  readonly kind: 'peer';
  readonly replica: ReplicaId;
  readonly present: boolean;
}

/** A run of the parts of one delta. */
export interface Wanted {
  readonly trieKey: Uint8Array;
  readonly from: number;
  readonly count: number;
}

/** Asks for parts of deltas whose stubs came, in this order [SY18]. */
export interface Want {
  readonly kind: 'want';
  readonly wanted: readonly Wanted[];
}

/** One part of a delta's body. Without bytes: the delta is not here any more. */
export interface Part {
  readonly kind: 'part';
  readonly trieKey: Uint8Array;
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** So many more bytes of deltas may be sent: as many were committed [SY17]. */
export interface Credit {
  readonly kind: 'credit';
  readonly bytes: number;
}

/** About how much a catch-up is going to bring: what the log holds after a cursor, superseded or not. */
export interface Ahead {
  readonly kind: 'ahead';
  readonly deltas: number;
  readonly bytes: number;
}

/** Asks where the relay stands; it answers with an acknowledgement of nothing [AE4]. */
export interface Probe {
  readonly kind: 'probe';
}

/** What a relay says. */
export type RelayMessage =
  | Welcome
  | Admitted
  | Fault
  | Certificates
  | Deltas
  | CaughtUp
  | Ack
  | Refused
  | Vector
  | Diff
  | Heads
  | Presence
  | Peer
  | Want
  | Part
  | Credit
  | Ahead;

/** What a client says. */
export type ReplicaMessage =
  | Hello
  | Certificates
  | Push
  | Pull
  | Diff
  | Head
  | Report
  | Presence
  | Want
  | Part
  | Credit
  | Probe;

export type Message = RelayMessage | ReplicaMessage;
