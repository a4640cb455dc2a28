import type { Hash } from '../hash.js';
import type { RoomId } from '../ids.js';

/** The room that a plan works on, and how it hashes. */
export interface RoomRef {
  readonly hash: Hash;
  readonly roomId: RoomId;
}
