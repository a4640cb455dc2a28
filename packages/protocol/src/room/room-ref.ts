import type { Hash } from '../hash.js';
import type { RoomConfig, RoomId } from '../ids.js';

/** The room that a plan works on, and how it hashes. */
export interface RoomRef {
  readonly hash: Hash;
  readonly roomId: RoomId;
  /** Whether what is superseded leaves the set [CX3], or stays in it for good [FH1]. */
  readonly history: RoomConfig['history'];
}
