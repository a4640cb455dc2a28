import type { Hash, Limits, Quota, ReplicaId, Right, Verifier } from '@mangrove/protocol';
import type { Counters } from './counters.js';
import type { Federation } from './federation/federation.js';
import type { RelayLog } from './log.js';
import type { RateLimits } from './rates.js';
import type { Turns } from './turns.js';
import type { Environment } from './storage/environment.js';

/** One open socket, as a room sees it. */
export interface Connection {
  /** Queues one frame; after the connection has closed it does nothing. */
  send(frame: Uint8Array): void;
  close(code: number, reason: string): void;
  /** Bytes that were given to `send` and are not yet on their way; 0 where the platform does not tell. */
  bufferedBytes(): number;
  /** Resolves when no more than this is buffered, or the connection has closed: a long catch-up waits for it between pages. */
  drained(bytesMax: number): Promise<void>;
  /** The `Origin` header of the upgrade. */
  readonly origin: string | undefined;
}

export interface Clock {
  nowMs(): number;
}

/** Runs something once, so much later; never, if the room ends before. It keeps no process alive: nobody waits for it. */
export type Later = (delayMs: number, run: () => void) => void;

export interface Random {
  bytes(count: number): Uint8Array;
}

/** Who the relay is: both live as long as its disk, so that a new disk is noticed [SY2, SG3]. */
export interface RelayIdentity {
  /** The public Ed25519 key that admits replicas to open rooms. */
  readonly relayKey: Uint8Array;
  readonly storeId: Uint8Array;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface AuthenticationRequest {
  readonly token?: string;
  readonly room: string;
  readonly replica: ReplicaId;
  readonly origin?: string;
  /** True where the connection is open already, and is asked about again: a ticket was used by it. */
  readonly isRecheck?: boolean;
}

export interface Authentication {
  readonly rights: readonly Right[];
  /** From then on the connection is let go; the client comes back with a fresh token. */
  readonly expiresAtMs?: number;
  /** Whose token it is: what `revoke` takes, and what logs name. */
  readonly subject?: string;
  /** True for another relay, which passes on what others wrote and said. It needs the rights to read and to write. */
  readonly isPeer?: boolean;
}

/** What a relay gives its `authenticate` hook. */
export interface AuthenticationContext {
  readonly nowMs: number;
  /**
   * True the first time that it is asked for this id before `untilMs`, which is at most {@link ONCE_MS_MAX} ahead; false from then on. It is on
   * disk before it is true, so a restart forgets nothing.
   */
  once(id: string, untilMs: number): Promise<boolean>;
}

/** Null: not allowed, for good. A `TOKEN_EXPIRED` that is thrown: come back with another token. Any other throw: cannot tell now, try again. */
export type Authenticate = (
  request: AuthenticationRequest,
  context: AuthenticationContext,
) => Promise<Authentication | null>;

/** All that a runtime gives a room. */
export interface RelayPorts {
  readonly environment: Environment;
  readonly identity: RelayIdentity;
  readonly hash: Hash;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly later: Later;
  readonly random: Random;
  readonly limits: Limits;
  readonly rates: RateLimits;
  /** Of each room. */
  readonly quota: Quota;
  /** Without it everybody may read and write. */
  readonly authenticate: Authenticate | undefined;
  /** An open connection is asked about again this often; never without it. */
  readonly recheckMs: number | undefined;
  /** Undefined for a relay that has no peers. */
  readonly federation?: Federation | undefined;
  /** Shared by all rooms; see {@link AuthenticationContext}. */
  readonly once: (id: string, untilMs: number, nowMs: number) => Promise<boolean>;
  readonly counters: Counters;
  /** Shared by all rooms. */
  readonly turns: Turns;
  readonly log: RelayLog;
  /** A bug or a failing platform: for a developer to look at. */
  readonly report: (error: unknown) => void;
}
