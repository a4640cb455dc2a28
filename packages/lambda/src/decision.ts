import { builtInResolvers, type Value } from '@mangrove/protocol';
import { bytesToMerged, type Conflict } from './conflict.js';
import { type Failure, isDeterministic, type Outcome } from './failure.js';

/**
 * What becomes of a conflict. It is derived, like the answer of any resolver: nothing is written, and every replica that has the siblings and the
 * lambda comes to it by itself.
 */
export type Decision =
  | { readonly by: 'lambda'; readonly value: Value | undefined }
  /** The lambda failed as it fails everywhere: the newest write wins, and the failure is for its author. */
  | { readonly by: 'fallback'; readonly value: Value | undefined; readonly error: Failure }
  /** It failed here, and elsewhere it may not: the siblings stay as they are, until it is tried again. */
  | { readonly by: 'nobody'; readonly error: Failure };

/** [LB8] */
export function decide({ siblings }: Conflict, outcome: Outcome): Decision {
  const merged = outcome.ok ? bytesToMerged(outcome.bytes) : outcome;
  if ('value' in merged) return { by: 'lambda', value: merged.value };
  const { error } = merged;
  if (!isDeterministic(error.code)) return { by: 'nobody', error };
  return { by: 'fallback', value: builtInResolvers.lww(siblings), error };
}
