import type { Outcome } from '../failure.js';
import type { LambdaSpec } from '../lambda.js';
import type { LambdaErrorCode } from '../lambda-error.js';
import type { LambdaId } from '../lambda-id.js';

export type ToWorker =
  | { readonly type: 'prepare'; readonly spec: LambdaSpec }
  | { readonly type: 'run'; readonly input: Uint8Array };

export type FromWorker =
  /** The engine is here: from now on it is computation, which the watchdog times. */
  | { readonly type: 'loaded' }
  | { readonly type: 'prepared'; readonly id: LambdaId }
  | { readonly type: 'refused'; readonly code: LambdaErrorCode; readonly reason: string }
  | { readonly type: 'ran'; readonly outcome: Outcome };
