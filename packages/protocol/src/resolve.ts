import { compareBytes } from './bytes.js';
import type { Hlc } from './hlc.js';
import type { ReplicaId } from './ids.js';

/** One of the concurrent values of a record. `value` is undefined for a delete. `bytes` breaks ties of a forked replica. */
export interface SiblingValue<T> {
  readonly value: T | undefined;
  readonly replica: ReplicaId;
  readonly writtenAt: Hlc;
  readonly bytes: Uint8Array;
}

/** Newest first by (writtenAt, replica): the order in which siblings are shown and resolved, the same on every replica. */
export function compareNewestFirst(a: SiblingValue<unknown>, b: SiblingValue<unknown>): number {
  if (a.writtenAt !== b.writtenAt) return b.writtenAt - a.writtenAt;
  if (a.replica !== b.replica) return a.replica < b.replica ? 1 : -1;
  return compareBytes(b.bytes, a.bytes);
}

/** The built-in resolvers: siblings in, value out; any order, same result. */
export const builtInResolvers = {
  /** The newest write wins, a delete included. */
  lww: <T>(siblings: readonly SiblingValue<T>[]): T | undefined => [...siblings].sort(compareNewestFirst)[0]?.value,
  /** The newest that is not a delete; all of them stay to be seen. */
  siblings: <T>(siblings: readonly SiblingValue<T>[]): T | undefined =>
    [...siblings].sort(compareNewestFirst).find((sibling) => sibling.value !== undefined)?.value,
} as const;

export type BuiltInResolver = keyof typeof builtInResolvers;
