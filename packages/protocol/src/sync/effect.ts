import type { Certificate } from '../certificate.js';
import type { Delta } from '../delta.js';
import type { ErrorCode } from '../errors.js';
import type { HeadStatement } from '../head-statement.js';
import type { ReplicaId } from '../ids.js';
import type { DiffMessage } from '../merkle/diff.js';
import type { LastTaken } from '../room/taken.js';
import type { VersionVector } from '../version-vector.js';
import type { Stub } from '../stub.js';
import type { Cursor, DeltaBytes, Hello, Message, Part, Peer, Presence, Refused, Wanted } from '../wire/messages.js';
import type { BeyondCursor, IntroductionPlace } from './event.js';

/** Reads that both ends ask of their store; each is answered by the event of the same idea. `planFor` turns them into plans. */
export type ReadEffect =
  | { readonly kind: 'read-beyond'; readonly cursor: BeyondCursor }
  /** At most `bytesMax` of deltas: as many as may be sent. */
  | { readonly kind: 'answer-diff'; readonly message: DiffMessage; readonly bytesMax: number }
  /** → `parts-read` */
  | { readonly kind: 'read-parts'; readonly wanted: readonly Wanted[] };

/** What both ends do with a part that they asked for. */
type FetchEffect =
  /** Verify it against its stub and keep it → `part-kept` */
  | { readonly kind: 'keep-part'; readonly part: Part }
  /** All parts are here, or the delta is by now: take it as if it had come whole → `accepted`, `pushed` */
  | { readonly kind: 'join'; readonly trieKey: Uint8Array };

export type ReplicaEffect =
  | ReadEffect
  | FetchEffect
  | { readonly kind: 'send'; readonly message: Message }
  /** Make a hello: fetch the token, read the cursor, sign the challenge → `greeting-ready`. */
  | {
      readonly kind: 'greet';
      readonly storeId: Uint8Array;
      readonly relayKey: Uint8Array;
      readonly challenge: Uint8Array;
    }
  /** Certificates of this issuer count from now on, and so do these. */
  | { readonly kind: 'trust'; readonly issuer: Uint8Array; readonly certificates: readonly Certificate[] }
  /** What the relay has taken of ours: where we have not given it, the profile was copied or rolled back [SY24]. Before anything is pushed. */
  | { readonly kind: 'check-identity'; readonly last: LastTaken }
  /** A copy of this profile is connected in our place: go on as another replica [CX7, SY24]. */
  | { readonly kind: 'renew-identity' }
  /** Verify, inspect and commit, stubs and the cursor in the same transaction → `accepted`. */
  | { readonly kind: 'accept'; readonly deltas: readonly DeltaBytes[]; readonly cursor: Cursor | undefined }
  /** → `acknowledged` */
  | { readonly kind: 'acknowledge'; readonly seqs: readonly number[]; readonly cursor: Cursor | undefined }
  /** Roots are equal: what the other has held or covered, we have. */
  | { readonly kind: 'adopt'; readonly vector: VersionVector; readonly cursor: Cursor }
  /** How far the store reaches → `vector-read` */
  | { readonly kind: 'read-vector' }
  /** What a relay that has lost its disk is to certify again [SG4] → `certificates-read` */
  | { readonly kind: 'read-certificates' }
  /** → `incoming-read` */
  | { readonly kind: 'read-incoming' }
  /** → `outbox-read` */
  | { readonly kind: 'read-outbox'; readonly fromSeq: number }
  /** Draw 8 random bytes as the salt of this pass, which nobody could know before [MK7] → `diff-opened` */
  | { readonly kind: 'open-diff' }
  /** The relay does not remember what was told to it: from now on all is told whole [SY21]. */
  | { readonly kind: 'forget-told' }
  | { readonly kind: 'store-heads'; readonly statements: readonly HeadStatement[] }
  /** An own delta was refused: show it, and seal its content again where that can help. */
  | { readonly kind: 'withdraw'; readonly refused: Refused }
  | { readonly kind: 'show'; readonly message: Presence | Peer }
  | { readonly kind: 'fault'; readonly code: ErrorCode; readonly facts: Readonly<Record<string, unknown>> }
  /** Nothing moves: begin anew on another connection. */
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'close' };

export type RelayEffect =
  | ReadEffect
  | FetchEffect
  | { readonly kind: 'send'; readonly message: Message }
  /** Verify the proof, ask who it is, check the room's configuration → `authenticated` or `denied`. */
  | { readonly kind: 'authenticate'; readonly hello: Hello }
  /** → `log-read` */
  | { readonly kind: 'read-log'; readonly after: number; readonly met: readonly ReplicaId[] }
  /** Where the relay stands now → `position-read` */
  | { readonly kind: 'read-position' }
  /** Where the relay stands after a read by vector → `beyond-done` */
  | { readonly kind: 'finish-beyond'; readonly pulled: VersionVector }
  /**
   * Refuse what is new and too far ahead, verify what must be, certify shown keys that have signed something, keep stubs → `stubs-kept`, commit
   * deltas → `pushed` with these bytes.
   */
  | {
      readonly kind: 'accept-push';
      readonly deltas: readonly PushedDelta[];
      readonly stubs: readonly PushedStub[];
      readonly bytes: number;
    }
  /** A page of what a newcomer is told of the room's replicas → `introduction-read` */
  | { readonly kind: 'read-introduction'; readonly at: IntroductionPlace }
  /** Keep these keys of an admitted writer until something that they signed comes [SG4]. */
  | { readonly kind: 'keep-shown'; readonly certificates: readonly Certificate[] }
  | { readonly kind: 'accept-head'; readonly statement: HeadStatement }
  /** Verify one delta and evict it if it is bad [SY10]. */
  | { readonly kind: 'check-reported'; readonly trieKey: Uint8Array }
  /** To everybody else in the room. */
  | { readonly kind: 'broadcast'; readonly message: Presence }
  | { readonly kind: 'joined'; readonly replica: ReplicaId }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string };

interface PushedManner {
  /** False where the proven connection vouches for it [SY9]. */
  readonly verify: boolean;
  readonly from: 'author' | 'others';
  /** How far its stamp lies ahead of the relay's clock, where that is too far: then only what was taken before is taken [SY8]. */
  readonly aheadMs?: number;
}

export interface PushedDelta extends PushedManner {
  readonly delta: Delta;
}

export interface PushedStub extends PushedManner {
  readonly stub: Stub;
}

export type SyncEffect = ReplicaEffect | RelayEffect;
