import type { Rung } from './types.js';

export interface ReachedOptions {
  /** Of other replicas, for rung `replicas`; 1 by default. */
  readonly count?: number;
  readonly signal?: AbortSignal;
}

/** Proof of a write that can be asked how far it has come. */
export interface Receipt {
  /** Opaque; the same as the version of the sibling it became. */
  readonly version: string;
  /** The rung that was reached when the receipt was given. */
  readonly rung: Rung;
  /**
   * Resolves when the write has reached the rung; a write that a later own one replaced resolves with that one.
   * Rejects with `NO_RELAY` above `disk` where there is no relay, with the relay's error when it refuses the write, with `ABORTED`.
   */
  reached(rung: Rung, options?: ReachedOptions): Promise<void>;
}
