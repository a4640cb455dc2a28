import { bytesToU64, u64ToBytes } from '../bytes.js';
import { bytesToDelta, type Delta } from '../delta.js';
import type { ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import { dotKey, type RoomRef, splitTrieKeys } from './accept.js';

/** The deltas in the set with this dot: none, one, or several where a replica has forked. */
export function* readDot(tx: Transaction, room: RoomRef, dot: Pick<Delta, 'replica' | 'seq'>): Steps<readonly Delta[]> {
  const trieKeys = yield* tx.get('dots', dotKey(dot));
  const rows = trieKeys === undefined ? [] : yield* tx.getMany('deltas', splitTrieKeys(trieKeys));
  return rows.flatMap((row) => (row === undefined ? [] : [bytesToDelta(room.hash, room.roomId, row)]));
}

export interface OutboxPage {
  readonly deltas: readonly Delta[];
  /** Where the next page begins; undefined when this was the last. */
  readonly nextSeq: number | undefined;
}

/** A page of own deltas that no relay has acknowledged, ascending by `seq`, bounded in count and bytes; superseded ones are passed over. */
export function* readOutboxPage(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  fromSeq: number,
  max: { readonly deltas: number; readonly bytes: number },
): Steps<OutboxPage> {
  const seqs = (yield* tx.keys('outbox', { from: u64ToBytes(fromSeq), limit: max.deltas })).map((key) =>
    bytesToU64(key),
  );
  const deltas: Delta[] = [];
  let bytes = 0;
  for (const seq of seqs) {
    if (bytes > max.bytes) return { deltas, nextSeq: seq };
    for (const delta of yield* readDot(tx, room, { replica, seq })) {
      deltas.push(delta);
      bytes += delta.bytes.length;
    }
  }
  const last = seqs.at(-1);
  return { deltas, nextSeq: last === undefined || seqs.length < max.deltas ? undefined : last + 1 };
}
