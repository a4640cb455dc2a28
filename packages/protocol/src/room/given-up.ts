import { bytesToU64 } from '../bytes.js';
import type { ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import { isAnyCovered, type RoomRef } from './accept.js';
import { isReached } from './floor-rows.js';
import { readOutboxRow } from './outbox.js';
import { acknowledge } from './seal.js';
import { dotKey, splitTrieKeys } from './set-rows.js';

const PAGE_ROWS = 1_024;

export interface GivenUp {
  readonly seq: number;
  /** How many writes it stood for. */
  readonly writes: number;
}

/**
 * [AE7] Own writes that wait for an acknowledgement, that the disk has lost and that nothing covers: of a relay whose root is equal nothing
 * will come back. A checkpoint or a floor is not among them, as what it covers is kept until it is known at a relay.
 */
export function* readGivenUp(tx: Transaction, room: RoomRef, replica: ReplicaId): Steps<readonly GivenUp[]> {
  const rows = yield* tx.rows('outbox', { from: new Uint8Array(), limit: PAGE_ROWS });
  const lost: GivenUp[] = [];
  for (const [key, value] of rows) {
    const seq = bytesToU64(key);
    const { keyId, hlc, writes } = readOutboxRow(value);
    if (writes === 0) continue;
    const dot = yield* tx.get('dots', dotKey({ replica, seq }));
    const held = dot === undefined ? [] : yield* tx.getMany('deltas', splitTrieKeys(dot));
    if (held.some((row) => row !== undefined)) continue;
    // What superseded it stands for it: it is dropped when nothing younger waits.
    if ((yield* isAnyCovered(tx, [{ keyId, hlc, replica }])) || (yield* isReached(tx, room, replica, hlc))) continue;
    lost.push({ seq, writes });
  }
  return lost;
}

/** They are not waited for any more. Their dots stay: a number that was given is never given again. */
export function* giveUpLost(tx: Transaction, room: RoomRef, replica: ReplicaId): Steps<readonly GivenUp[]> {
  const lost = yield* readGivenUp(tx, room, replica);
  yield* acknowledge(
    tx,
    room,
    replica,
    lost.map(({ seq }) => seq),
  );
  return lost;
}
