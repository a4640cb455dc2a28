import type {
  ErrorFacts,
  HeadStatement,
  JournalRow,
  Peer,
  Presence,
  Refused,
  Repairs,
  ReplicaState,
} from '@mangrove/protocol';
import type { Received } from './receive.js';

/** What the link tells the room it belongs to. */
export interface LinkHost {
  token(): Promise<string | undefined>;
  received(received: Received): void;
  acknowledged(seqs: readonly number[]): void;
  /** `seqs`: the refused one and what it takes with it; `rows`: what it stood for, back in the journal. */
  withdrawn(refused: Refused, seqs: readonly number[], rows: readonly JournalRow[]): void;
  head(statement: HeadStatement): void;
  show(message: Presence | Peer): void;
  fault(error: ErrorFacts): void;
  /** What comparisons have done since the link was made. */
  repaired(repairs: Repairs): void;
  /** A copy of this profile writes too: a new identity is needed [CX7, SY24]. */
  identitySpent(): void;
  /** After every step: the state, and the root where it is known anew. */
  changed(state: ReplicaState, root: Uint8Array | undefined): void;
}
