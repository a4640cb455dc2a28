import type { PushedDelta, Refusal, RelayEvent, ReplicaId } from '@mangrove/protocol';
import type { Link } from './link.js';
import type { RelayPorts } from './ports.js';

/** What one connection pushed in one message and is left of it after verification. */
export interface Push {
  readonly link: Link;
  readonly replica: ReplicaId;
  readonly deltas: readonly PushedDelta[];
  readonly refusals: readonly Refusal[];
  /** What it took from the client's window. */
  readonly bytes: number;
}

export interface CommitHost {
  readonly ports: RelayPorts;
  /** To every link of the room that takes commits. */
  announce(event: RelayEvent): void;
  /** To every link that is fetching something: these need not be fetched any more. */
  arrived(trieKeys: readonly Uint8Array[]): void;
  /** Whether what came over this connection may be taken still [SY24]. */
  takes(push: Push): boolean;
  /** Ends every connection of the room: whoever comes back is told everything anew. */
  letGo(reason: string): void;
}

/** How what was pushed to a room becomes part of it. */
export interface Commits {
  /** Resolves, and never rejects, when the push is committed and announced, or its connection was let go. */
  add(push: Push): Promise<void>;
  /** Runs something between two commits. */
  alone<Result>(task: () => Promise<Result>): Promise<Result>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
  /** Pushes that wait for the transaction after the one that is under way. */
  readonly waiting: number;
}
