import { type Delta, FLAG } from '../delta.js';
import { defaultLimits } from '../limits.js';
import { readRoot } from '../merkle/trie.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { Stub } from '../stub.js';
import type { RoomRef } from './accept.js';
import { readTaken } from './ahead.js';
import { readLogBytes } from './log.js';

/** What one room may take up at a relay. */
export interface Quota {
  /** Of deltas that stand, and of those that are kept for a while after something took their place. */
  readonly bytesMax: number;
  /** Deltas in the set. */
  readonly deltasMax: number;
}

export const NO_QUOTA: Quota = { bytesMax: Number.POSITIVE_INFINITY, deltasMax: Number.POSITIVE_INFINITY };

export interface Usage {
  readonly bytes: number;
  readonly deltas: number;
}

/** Why a delta finds no room: facts of `QUOTA_EXCEEDED`. */
export interface OverQuota {
  readonly what: 'bytes' | 'deltas';
  readonly used: number;
  readonly max: number;
}

/** A full room still takes what lets it shrink, up to so much more. */
const SPARE_SHARE = 8;
const SPARE_BYTES_MIN = defaultLimits.bodyBytesMax;
const SPARE_DELTAS_MIN = 1_024;
const SHRINKING = FLAG.tombstone | FLAG.checkpoint | FLAG.floor;

export function* readUsage(tx: Transaction): Steps<Usage> {
  const { count } = yield* readRoot(tx);
  return { bytes: yield* readLogBytes(tx), deltas: count };
}

/** [SY27] For each delta, in order, why it finds no room; nothing for those that do, and for what was taken before. */
export function* siftByQuota(
  tx: Transaction,
  room: RoomRef,
  deltas: readonly (Delta | Stub)[],
  quota: Quota,
): Steps<readonly (OverQuota | undefined)[]> {
  if (quota.bytesMax === Number.POSITIVE_INFINITY && quota.deltasMax === Number.POSITIVE_INFINITY) return [];
  const before = yield* readUsage(tx);
  const coming = deltas.reduce((sum, delta) => sum + bytesOf(delta), 0);
  const isNear = before.bytes + coming > quota.bytesMax || before.deltas + deltas.length > quota.deltasMax;
  if (!isNear) return [];
  const taken = yield* readTaken(tx, room, deltas);
  let usage = before;
  return deltas.map((delta, i) => {
    // [SY8] It takes up no room: who sends it again is waiting for an answer.
    if (taken[i]) return undefined;
    const over = overQuota(usage, quota, delta);
    if (over === undefined) usage = { bytes: usage.bytes + bytesOf(delta), deltas: usage.deltas + 1 };
    return over;
  });
}

function overQuota(usage: Usage, quota: Quota, delta: Delta | Stub): OverQuota | undefined {
  const spare = (delta.flags & SHRINKING) === 0 ? { bytes: 0, deltas: 0 } : spareOf(quota);
  if (usage.bytes + bytesOf(delta) > quota.bytesMax + spare.bytes)
    return { what: 'bytes', used: usage.bytes, max: quota.bytesMax };
  if (usage.deltas + 1 > quota.deltasMax + spare.deltas)
    return { what: 'deltas', used: usage.deltas, max: quota.deltasMax };
  return undefined;
}

function spareOf({ bytesMax, deltasMax }: Quota): Usage {
  return {
    bytes: Math.max(SPARE_BYTES_MIN, bytesMax / SPARE_SHARE),
    deltas: Math.max(SPARE_DELTAS_MIN, deltasMax / SPARE_SHARE),
  };
}

/** A stub stands for what it promises. */
function bytesOf(delta: Delta | Stub): number {
  return 'bodyBytes' in delta ? delta.bodyBytes : delta.bytes.length;
}
