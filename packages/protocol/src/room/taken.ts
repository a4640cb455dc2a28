import { bytesToU64, concatBytes, equalBytes, prefixEnd, u64ToBytes, utf8ToBytes } from '../bytes.js';
import type { Delta } from '../delta.js';
import { idToBytes, type ReplicaId, shortIdToBytes } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { Outcome } from './outcome.js';
import { bytesToOutboxPlace } from './outbox.js';
import { readNumber } from './meta.js';
import { readSeqs } from './vector.js';

/** `meta`: prefix • replica 8 → u64 seq • short id: the last of a replica's own deltas that came from itself. Relay. */
const PREFIX = utf8ToBytes('taken ');

/** What a relay knows of a replica's numbers [SY24]. */
export interface LastTaken {
  /** Any number at or below it may have been used, 0 for none. */
  readonly lastSeq: number;
  /** The short id of the delta with that number, where the replica itself pushed it. */
  readonly lastId: Uint8Array | undefined;
}

/** Remembers, for each author, the last delta that it has pushed: this one is told when it comes back. */
export function* noteTaken(tx: Transaction, deltas: readonly Delta[], outcomes: readonly Outcome[]): Steps<void> {
  const last = new Map<ReplicaId, Delta>();
  for (const [i, delta] of deltas.entries()) {
    const outcome = outcomes[i];
    if (outcome === 'reused' || outcome === 'trashed' || outcome === 'unseen') continue;
    if (delta.seq > (last.get(delta.replica)?.seq ?? 0)) last.set(delta.replica, delta);
  }
  const keys = [...last.keys()].map(keyOf);
  const rows = yield* tx.getMany('meta', keys);
  for (const [i, delta] of [...last.values()].entries()) {
    const row = rows[i];
    if (row !== undefined && bytesToU64(row) >= delta.seq) continue;
    tx.put('meta', keys[i] as Uint8Array, concatBytes(u64ToBytes(delta.seq), shortIdToBytes(delta.id)));
  }
}

/** What was held above a gap counts too. */
export function* readLastTaken(tx: Transaction, replica: ReplicaId): Steps<LastTaken> {
  const prefix = idToBytes(replica);
  const contiguous = (yield* readSeqs(tx, [replica])).get(replica) ?? 0;
  const [dot] = yield* tx.keys('dots', { from: prefix, to: prefixEnd(prefix), limit: 1, reverse: true });
  const row = yield* tx.get('meta', keyOf(replica));
  const taken = row === undefined ? 0 : bytesToU64(row);
  const lastSeq = Math.max(contiguous, dot === undefined ? 0 : bytesToU64(dot, 8), taken);
  return { lastSeq, lastId: lastSeq > 0 && lastSeq === taken ? row?.slice(8) : undefined };
}

/**
 * Whether a relay has taken a delta of this replica that these rows never gave it: then a copy of the profile has written, or this one was
 * restored from a copy [SY24]. A number that waits here under another id was used twice, one that was never given was used elsewhere.
 */
export function* isWrittenElsewhere(tx: Transaction, { lastSeq, lastId }: LastTaken): Steps<boolean> {
  if (lastSeq > (yield* readNumber(tx, 'seq'))) return true;
  const waiting = lastId && (yield* tx.get('outbox', u64ToBytes(lastSeq)));
  if (lastId === undefined || waiting === undefined) return false;
  return !equalBytes(bytesToOutboxPlace(waiting).shortId, lastId);
}

const keyOf = (replica: ReplicaId): Uint8Array => concatBytes(PREFIX, idToBytes(replica));
