import type { Certificate } from '../certificate.js';
import type { ErrorCode } from '../errors.js';
import type { HeadStatement } from '../head-statement.js';
import type { ReplicaId } from '../ids.js';
import type { DiffEntry } from '../merkle/diff.js';
import type { LogPage, Position } from '../room/log.js';
import type { VersionVector } from '../version-vector.js';
import type {
  Certificates,
  DeltaBytes,
  Hello,
  Head,
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
    }
  | {
      readonly kind: 'diff-answered';
      readonly salt: Uint8Array;
      readonly root: Uint8Array;
      readonly entries: readonly DiffEntry[];
      readonly deltas: readonly DeltaBytes[];
    };

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
  /** `forged`: trie keys of deltas whose signature did not verify. */
  | { readonly kind: 'accepted'; readonly standing: Standing; readonly forged?: readonly Uint8Array[] }
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
  /** Own deltas were sealed. */
  | { readonly kind: 'sealed'; readonly deltas: readonly DeltaBytes[] }
  /** Time to look whether roots are equal, though nothing came. */
  | { readonly kind: 'check'; readonly standing: Standing };

export type RelayEvent =
  | ReadEvent
  | { readonly kind: 'opened' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'message'; readonly message: ReplicaMessage; readonly nowMs: number }
  /** Bytes that were no message. */
  | { readonly kind: 'malformed'; readonly code: ErrorCode; readonly facts: Readonly<Record<string, string | number>> }
  | ({ readonly kind: 'authenticated' } & AuthenticatedReplica)
  | { readonly kind: 'denied'; readonly code: ErrorCode; readonly facts: Readonly<Record<string, string | number>> }
  | ({ readonly kind: 'log-read'; readonly met: readonly ReplicaId[] } & LogPage)
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
    }
  /** Something became part of the room through any connection. */
  | { readonly kind: 'committed'; readonly deltas: readonly CommittedDelta[]; readonly position: Position }
  /** Something to pass on as it is. */
  | { readonly kind: 'forward'; readonly message: Head | Peer | Presence | Certificates };

export interface CommittedDelta {
  readonly bytes: DeltaBytes;
  /** The replica over whose connection it came; it has it already. */
  readonly via: ReplicaId | undefined;
}

export interface AuthenticatedReplica {
  readonly replica: ReplicaId;
  readonly rights: readonly Right[];
  readonly certificate: Certificate | undefined;
  /** The offset to replay from, or undefined when the cursor does not count. */
  readonly after: number | undefined;
  readonly lastSeq: number;
  readonly certificates: readonly Certificate[];
  readonly heads: readonly HeadStatement[];
}

export type SyncEvent = ReplicaEvent | RelayEvent;
