import type { Outcome } from '../failure.js';
import type { LambdaLimits } from '../limits.js';

/** A lambda that is ready. Every run begins in the same state, whatever ran before [LB6]. */
export interface Guest {
  run(input: Uint8Array): Outcome;
}

/** `engine` is the metered engine, or for WebAssembly the metered module of the user. */
export type MakeGuest = (engine: WebAssembly.Module, source: Uint8Array, limits: LambdaLimits) => Guest;
