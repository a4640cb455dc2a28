import type { ReplicaId } from '../ids.js';
import type { RoomConfig } from '../ids.js';
import type { Limits } from '../limits.js';
import type { RoomRef } from '../room/accept.js';
import type { Position } from '../room/log.js';
import type { VersionVector } from '../version-vector.js';
import type { Right } from '../wire/messages.js';
import type { BeyondCursor } from './event.js';
import type { Flow } from './flow.js';
import type { Offer } from './offers.js';
import type { Progress } from './progress.js';

/** What both ends of a link are told when it is made. */
export interface LinkConfig {
  readonly room: RoomRef;
  readonly roomConfig: RoomConfig;
  readonly limits: Limits;
}

/** One connection, seen from either end. A state carries only the fields that are true in it. */
export type SyncState = ReplicaState | RelayState;

/** Seen from the side that has a document open: it asks, compares and repairs. */
export type ReplicaState =
  /** No connection. */
  | (ReplicaBase & { readonly kind: 'offline' })
  /** Connected; the relay speaks first. */
  | (ReplicaBase & { readonly kind: 'connecting' })
  /** Our hello is being made, or is on its way. */
  | (ReplicaBase & { readonly kind: 'greeting'; readonly storeId: Uint8Array; readonly relayKey: Uint8Array })
  /** Admitted; what we lack is coming. */
  | (ReplicaBase &
      Session & {
        readonly kind: 'catching-up';
        readonly by: 'cursor' | 'vector';
        /** What the relay was told in a pull, as its answers name only what differs from it. */
        readonly pulled: VersionVector;
      })
  /** Roots differ though nothing is under way: a Merkle diff finds out where. */
  | (ReplicaBase &
      Session &
      Settling & {
        readonly kind: 'comparing';
        /** 8 bytes, drawn by whoever runs the link; undefined until the pass is opened. */
        readonly salt: Uint8Array | undefined;
        /** Passes in a row before this one that moved nothing. */
        readonly passes: number;
        readonly rounds: number;
        readonly moved: boolean;
      })
  /** Deltas flow as they are made. `settled` while roots were equal at the last look. */
  | (ReplicaBase & Session & Settling & { readonly kind: 'live'; readonly settled: boolean; readonly passes: number })
  /** The relay will not have us; only the application can change that. */
  | (ReplicaBase & { readonly kind: 'refused' });

interface ReplicaBase {
  readonly role: 'replica';
  readonly config: LinkConfig;
  readonly replica: ReplicaId;
}

interface Session {
  readonly storeId: Uint8Array;
  readonly relayKey: Uint8Array;
  readonly rights: readonly Right[];
  /** Whether the relay was shown all certificates: once in a session, as it may refuse as much as it likes. */
  readonly hasShown: boolean;
  readonly flow: Flow;
  /** Bytes of deltas that came and whose commit is under way. */
  readonly taken: number;
  /** What of the outbox was not pushed yet: nothing, what a read under way brings, or what begins with this number and waits. */
  readonly outbox: 'pushed' | number | OutboxRead;
  /** Own stubs that were pushed: while too many of their parts were not asked for, the outbox is read no further. */
  readonly offers: readonly Offer[];
  /** Where sending what the relay lacks goes on when there is credit. */
  readonly beyond: BeyondCursor | undefined;
  readonly progress: Progress;
  /** When something last moved, or nothing was waited for. */
  readonly movedAtMs: number;
}

interface Settling {
  /** Where the relay stood when it last said so. */
  readonly position: Position;
  /** What came since is told without a position, which follows: roots say nothing until then [SY22]. */
  readonly isBehind: boolean;
  /** The relay's vector of those it was asked about or met for us: adopted when roots are equal. */
  readonly vector: VersionVector;
}

/** A page of the outbox is being read, from this number on. */
export interface OutboxRead {
  readonly from: number;
  /** The lowest number below it of which was told meanwhile: seals, checkpoints and floors are told in no order. Read next. */
  readonly missed: number | undefined;
}

/** Seen from the relay: it admits, numbers, forwards and answers. */
export type RelayState =
  | (RelayBase & { readonly kind: 'greeting'; readonly badFrames: number })
  /** The token is being asked about, the proof verified. Nothing else is answered before. */
  | (RelayBase & { readonly kind: 'admitting'; readonly badFrames: number; readonly window: number })
  /**
   * The log is being read to the peer from its cursor on, as far as there is credit. What is committed meanwhile is read, not forwarded.
   * `pulled`: a read by vector comes first, and the log then tells what was committed since; which vector was asked about.
   */
  | (RelayBase &
      Admission & {
        readonly kind: 'replaying';
        readonly after: number;
        readonly met: readonly ReplicaId[];
        readonly pulled: VersionVector | 'awaited' | undefined;
      })
  /** What is committed is forwarded. */
  | (RelayBase & Admission & { readonly kind: 'live' })
  | (RelayBase & { readonly kind: 'closed' });

interface RelayBase {
  readonly role: 'relay';
  readonly config: LinkConfig;
  readonly relayKey: Uint8Array;
  readonly storeId: Uint8Array;
  readonly challenge: Uint8Array;
}

interface Admission {
  readonly replica: ReplicaId;
  /** It is a peer of this relay: it passes on what others have said [FD5]. */
  readonly isPeer: boolean;
  readonly rights: readonly Right[];
  readonly badFrames: number;
  readonly flow: Flow;
  /** Where the answer to a pull goes on when there is credit. */
  readonly beyond: BeyondCursor | undefined;
  /** Something was told without the position [SY22]. */
  readonly owesPosition: boolean;
}

export function offline(config: LinkConfig, replica: ReplicaId): ReplicaState {
  return { role: 'replica', kind: 'offline', config, replica };
}

export function greeting(
  config: LinkConfig,
  relay: { relayKey: Uint8Array; storeId: Uint8Array; challenge: Uint8Array },
): RelayState {
  return { role: 'relay', kind: 'greeting', config, ...relay, badFrames: 0 };
}
