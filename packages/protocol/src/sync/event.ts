import type { Certificate } from '../certificate.js';
import type { ErrorCode } from '../errors.js';
import type { HeadStatement } from '../head-statement.js';
import type { ReplicaId } from '../ids.js';
import type { DiffEntry } from '../merkle/diff.js';
import type { Fetch } from '../room/incoming.js';
import type { LogPage, Position } from '../room/log.js';
import type { VersionVector } from '../version-vector.js';
import type {
  Ahead,
  Certificates,
  DeltaBytes,
  Hello,
  Heads,
  Part,
  Peer,
  Presence,
  RelayMessage,
  ReplicaMessage,
  Right,
} from '../wire/messages.js';

/** How the replica itself stands after something was written. */
export interface Standing {
  readonly root: Uint8Array;
  /** Own deltas that no relay has acknowledged. */
  readonly outbox: number;
}

export interface Refusal {
  readonly replica: ReplicaId;
  readonly seq: number;
  readonly code: ErrorCode;
  readonly facts: Readonly<Record<string, string | number>>;
}

/** Answers to reads, the same at both ends. */
type ReadEvent =
  | {
      readonly kind: 'beyond-read';
      readonly deltas: readonly DeltaBytes[];
      readonly next: BeyondCursor | undefined;
      /** What was asked about. */
      readonly pulled: VersionVector;
      /** At the end: the replicas of it that the own store reaches less far, with how far. */
      readonly vector: VersionVector;
      /** About what the asking vector does not reach: with the first page of a pull. */
      readonly ahead?: Omit<Ahead, 'kind'> | undefined;
    }
  | {
      readonly kind: 'diff-answered';
      readonly salt: Uint8Array;
      readonly root: Uint8Array;
      readonly entries: readonly DiffEntry[];
      readonly deltas: readonly DeltaBytes[];
    }
  | { readonly kind: 'parts-read'; readonly parts: readonly Part[] }
  /** `have`: how many of its first parts are here; undefined when nothing is known of the delta any more. */
  | { readonly kind: 'part-kept'; readonly trieKey: Uint8Array; readonly have: number | undefined };

/** Where a read by vector goes on: the vector asked about and the last dot read. */
export interface BeyondCursor {
  readonly vector: VersionVector;
  /** Of the replicas that the vector names, or of all. */
  readonly of: 'named' | 'all';
  readonly after: Uint8Array;
}

export type ReplicaEvent =
  | ReadEvent
  | { readonly kind: 'opened' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'message'; readonly message: RelayMessage; readonly nowMs: number }
  | { readonly kind: 'greeting-ready'; readonly hello: Hello }
  /** `forged`: trie keys of deltas whose signature did not verify. `fetches`: the stubs among them, whose parts are to be fetched. */
  | {
      readonly kind: 'accepted';
      readonly standing: Standing;
      readonly forged?: readonly Uint8Array[];
      readonly fetches?: readonly Fetch[];
    }
  /** What earlier connections left to be fetched. */
  | { readonly kind: 'incoming-read'; readonly fetches: readonly Fetch[] }
  | { readonly kind: 'acknowledged'; readonly standing: Standing }
  | { readonly kind: 'certificates-read'; readonly certificates: readonly Certificate[] }
  | { readonly kind: 'vector-read'; readonly vector: VersionVector }
  | { readonly kind: 'outbox-read'; readonly deltas: readonly DeltaBytes[]; readonly nextSeq: number | undefined }
  | {
      readonly kind: 'diff-opened';
      readonly salt: Uint8Array;
      readonly root: Uint8Array;
      readonly entries: readonly DiffEntry[];
    }
  /** Own deltas were sealed, the first with this number. */
  | { readonly kind: 'sealed'; readonly deltas: readonly DeltaBytes[]; readonly fromSeq: number }
  /** Time to look whether roots are equal, though nothing came, or whether something should have come long ago. */
  | { readonly kind: 'check'; readonly standing: Standing; readonly nowMs: number };

export type RelayEvent =
  | ReadEvent
  | { readonly kind: 'opened' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'message'; readonly message: ReplicaMessage; readonly nowMs: number }
  /** Bytes that were no message. */
  | { readonly kind: 'malformed'; readonly code: ErrorCode; readonly facts: Readonly<Record<string, string | number>> }
  | ({ readonly kind: 'authenticated' } & AuthenticatedReplica)
  /** The same replica is here over a connection that was opened later [SY24]. */
  | { readonly kind: 'displaced'; readonly replica: ReplicaId }
  | { readonly kind: 'denied'; readonly code: ErrorCode; readonly facts: Readonly<Record<string, string | number>> }
  | {
      readonly kind: 'introduction-read';
      readonly certificates: readonly Certificate[];
      readonly heads: readonly HeadStatement[];
      readonly next: IntroductionPlace | undefined;
    }
  | ({ readonly kind: 'log-read'; readonly met: readonly ReplicaId[] } & LogPage)
  | { readonly kind: 'position-read'; readonly position: Position }
  | {
      readonly kind: 'beyond-done';
      readonly pulled: VersionVector;
      readonly position: Position;
      readonly vector: VersionVector;
    }
  | {
      readonly kind: 'pushed';
      readonly seqs: readonly number[];
      readonly refusals: readonly Refusal[];
      readonly position: Position;
      /** What the pushes took from the client's window. */
      readonly bytes: number;
      /** How many deltas of this commit, which ends at the position, came over this link and were new. */
      readonly logged: number;
      /** As with what is committed. */
      readonly tells: boolean;
    }
  /** Stubs of a push, whose parts are to be fetched; `held`: those whose deltas are here already. */
  | { readonly kind: 'stubs-kept'; readonly fetches: readonly Fetch[]; readonly held: readonly Uint8Array[] }
  /** These came in parts over any connection, or were superseded on arrival: nothing of them is to be fetched any more. */
  | { readonly kind: 'arrived'; readonly trieKeys: readonly Uint8Array[] }
  /** Something became part of the room through any connection. */
  | {
      readonly kind: 'committed';
      readonly deltas: readonly CommittedDelta[];
      readonly position: Position;
      /** Whether the position is told with it; if not, `position-due` follows [SY22]. */
      readonly tells: boolean;
    }
  /** More was committed than waits for this link: it is in the log, after this offset [SY17]. */
  | { readonly kind: 'overtaken'; readonly after: number }
  /** Where the room stands, for those who were not told yet. */
  | { readonly kind: 'position-due'; readonly position: Position }
  /** Something to pass on as it is. */
  | { readonly kind: 'forward'; readonly message: Heads | Peer | Presence | Certificates };

/** Where the introduction of a newcomer goes on: at the row after this key. */
export interface IntroductionPlace {
  readonly of: 'certificates' | 'heads';
  readonly after: Uint8Array;
}

export interface CommittedDelta {
  readonly bytes: DeltaBytes;
  /** The challenge of the connection it came over, whose peer has it already. */
  readonly via: Uint8Array | undefined;
}

export interface AuthenticatedReplica {
  readonly replica: ReplicaId;
  readonly rights: readonly Right[];
  readonly certificate: Certificate | undefined;
  /** The offset to replay from, or undefined when the cursor does not count. */
  readonly after: number | undefined;
  /** Where the log ends now, and what it holds after `after`. */
  readonly end: number;
  readonly ahead: Omit<Ahead, 'kind'>;
  readonly lastSeq: number;
  readonly lastId: Uint8Array | undefined;
  /** Other replicas that are connected, `peersToldMax` at most [SY12]. */
  readonly present: readonly ReplicaId[];
  /** It is a relay that has everything and writes nothing of its own [FD5]. */
  readonly isPeer?: boolean;
}

export type SyncEvent = ReplicaEvent | RelayEvent;
