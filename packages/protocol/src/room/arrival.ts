import type { Delta } from '../delta.js';
import type { ErrorCode } from '../errors.js';
import type { KeyName } from '../ids.js';

/** A delta that came from a peer and whose signature verified. */
export interface Arrival {
  readonly delta: Delta;
  /** Undefined when the body cannot be decoded: then the delta counts, and its content is quarantined [CX8]. */
  readonly name: KeyName | undefined;
  /** Why its content cannot be used, where it cannot. */
  readonly fault: ErrorCode | undefined;
  /** In words, where there is more to say. */
  readonly reason?: string;
}
