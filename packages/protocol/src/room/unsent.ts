import { bytesToU64, u64ToBytes } from '../bytes.js';
import { type Hlc, msAhead } from '../hlc.js';
import type { ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import type { Steps, Transaction } from '../store/plan.js';
import { isAnyCovered, isGone, type RoomRef } from './accept.js';
import { isReached } from './floor-rows.js';
import { areListed } from './listed.js';
import { dotKey, splitTrieKeys } from './set-rows.js';
import { type OutboxPlace, readOutboxRow } from './outbox.js';
import { settleRetained } from './retained.js';

/**
 * Whether a relay whose clock is right within `clockAheadMsMax` could have taken a delta with this stamp, though another refused
 * it. Whoever holds it covers with its stamp all that this replica writes below it, seen or not [DL6].
 */
export function mayBeHeld(given: Hlc, nowMs: number): boolean {
  return msAhead(given, nowMs) <= 2 * defaultLimits.clockAheadMsMax;
}

/**
 * Drops what was superseded before a relay took it, and returns its seqs: it is never sent, so nobody will acknowledge it. It goes
 * when nothing younger waits, as what superseded it has arrived by then. Where that was withdrawn instead, it waits for the next.
 */
export function* dropSettled(tx: Transaction, room: RoomRef, replica: ReplicaId): Steps<readonly number[]> {
  const settled: number[] = [];
  let isCheckpoint = false;
  for (;;) {
    const last = yield* unsentBelow(tx, room, replica, undefined);
    if (last === undefined || !last.isCovered) break;
    isCheckpoint ||= last.isCheckpoint;
    tx.delete('outbox', u64ToBytes(last.seq));
    settled.push(last.seq);
  }
  // Another has covered what an own checkpoint did, and it itself.
  if (isCheckpoint) yield* settleRetained(tx, room, replica);
  return settled;
}

/**
 * Own deltas that no relay can have and no held delta covers, descending: they were superseded before they were sent, by one that
 * was then withdrawn. `relayMs`: what a relay's clock shows, as our own may be wrong. Nobody will ever have them, and what follows them would have to lie above their stamps [JS5].
 */
export function* readForgotten(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  relayMs: number,
): Steps<readonly number[]> {
  const forgotten: number[] = [];
  for (let below: number | undefined; ; ) {
    const last = yield* unsentBelow(tx, room, replica, below);
    if (last === undefined) return forgotten;
    if (!last.isCovered && !mayBeHeld(last.place.hlc, relayMs)) forgotten.push(last.seq);
    below = last.seq;
  }
}

interface Unsent {
  readonly seq: number;
  readonly place: OutboxPlace;
  readonly isCovered: boolean;
  readonly isCheckpoint: boolean;
}

/** The youngest in the outbox, or undefined where it is still in the set and so on its way. */
function* unsentBelow(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  below: number | undefined,
): Steps<Unsent | undefined> {
  const to = below === undefined ? undefined : u64ToBytes(below);
  const [row] = yield* tx.rows('outbox', { from: new Uint8Array(), to, limit: 1, reverse: true });
  if (row === undefined) return undefined;
  const seq = bytesToU64(row[0]);
  const dot = yield* tx.get('dots', dotKey({ replica, seq }));
  const trieKeys = dot === undefined ? [] : splitTrieKeys(dot);
  if ((yield* areListed(tx, 'deltas', trieKeys)).includes(true)) return undefined;
  const place = readOutboxRow(row[1]);
  const isCovered =
    (yield* isAnyCovered(tx, [{ ...place, replica }])) ||
    (dot === undefined ? yield* isReached(tx, room, replica, place.hlc) : yield* isEachGone(tx, room, trieKeys));
  // Of what was lost the dot stays until a scrub; a relay may have it, and it may come back [AE7].
  if (dot !== undefined && !isCovered) return undefined;
  return { seq, place, isCovered, isCheckpoint: place.writes === 0 };
}

/** What a floor has swept was known to all whose word it counts: the relay had it, though its acknowledgement was lost, and then its bytes. */
function* isEachGone(tx: Transaction, room: RoomRef, trieKeys: readonly Uint8Array[]): Steps<boolean> {
  for (const trieKey of trieKeys) if (!(yield* isGone(tx, room, trieKey))) return false;
  return true;
}
