import { bytesToU64, compareBytes, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { bytesToReplicaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId } from '../ids.js';
import type { NumberRange } from '../room/journal.js';
import { readLostSeqs } from '../room/lost.js';
import { splitTrieKeys } from '../room/set-rows.js';
import { rowToEntry } from '../room/vector-entry.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { endOfHeld, type Held, type HeldSeqs } from './mark.js';

const EVERYTHING = { from: new Uint8Array() };
const PAGE_ROWS = 256;

/** What the store has of each replica at this moment, as a mark tells it [BK4]. */
export function* readHeld(tx: Transaction): Steps<Held> {
  const rows = yield* tx.rows('vector', EVERYTHING);
  const entries = rows.map(([key, row]) => [bytesToReplicaId(key), rowToEntry(row)] as const);
  const held = yield* together(
    entries.map(([replica, { seq, claim }]) => readHeldSeqs(tx, replica, seq, claim !== undefined)),
  );
  return new Map(entries.map(([replica], i) => [replica, held[i] as HeldSeqs]));
}

export interface News {
  readonly trieKeys: readonly Uint8Array[];
  /** Where in `dots` to go on; undefined at the end. */
  readonly next: Uint8Array | undefined;
}

/** The deltas in the set that `since` has not, in the order of their dots; a few more than `limit` where a replica has forked. */
export function* listNews(tx: Transaction, since: Held, from: Uint8Array, limit: number): Steps<News> {
  const trieKeys: Uint8Array[] = [];
  let at = from;
  for (;;) {
    const rows = yield* tx.rows('dots', { from: at, limit: PAGE_ROWS });
    for (const [key, row] of rows) {
      // Behind what was passed over, in a page that was read before.
      if (compareBytes(key, at) < 0) continue;
      const replica = bytesToReplicaId(key.subarray(0, REPLICA_ID_BYTES));
      const seq = bytesToU64(key, REPLICA_ID_BYTES);
      const end = endOfHeld(since, replica, seq);
      at = dotAt(replica, (end ?? seq) + 1);
      if (end !== undefined) continue;
      trieKeys.push(...splitTrieKeys(row));
      if (trieKeys.length >= limit) return { trieKeys, next: at };
    }
    if (rows.length < PAGE_ROWS) return { trieKeys, next: undefined };
  }
}

/** What is lost on the disk still has a dot, and is not had. */
function* readHeldSeqs(tx: Transaction, replica: ReplicaId, seq: number, isInDoubt: boolean): Steps<HeldSeqs> {
  const lost = isInDoubt ? yield* readLostSeqs(tx, replica) : new Set<number>();
  const above: NumberRange[] = [];
  let upTo = seq;
  for (let from = dotAt(replica, seq + 1); ; ) {
    const keys = yield* tx.keys('dots', { from, to: prefixEnd(idToBytes(replica)), limit: PAGE_ROWS });
    for (const key of keys) {
      const at = bytesToU64(key, REPLICA_ID_BYTES);
      if (lost.has(at)) continue;
      const last = above.at(-1);
      if (last === undefined && at === upTo + 1) upTo = at;
      else if (last !== undefined && at === last.to + 1) above[above.length - 1] = { from: last.from, to: at };
      else above.push({ from: at, to: at });
    }
    const [last] = keys.slice(-1);
    if (last === undefined || keys.length < PAGE_ROWS) return { upTo, above };
    from = dotAt(replica, bytesToU64(last, REPLICA_ID_BYTES) + 1);
  }
}

const dotAt = (replica: ReplicaId, seq: number): Uint8Array => concatBytes(idToBytes(replica), u64ToBytes(seq));
