import { u64ToBytes } from '../bytes.js';
import { covers } from '../context.js';
import { bodyOfDelta } from '../body.js';
import { type Delta, parseTrieKey } from '../delta.js';
import { type DeltaId, idToBytes, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './accept.js';
import type { JournalRow } from './journal.js';
import { readNumber } from './meta.js';
import { bytesToOutboxPlace } from './outbox.js';
import { isWrite } from './readable.js';
import { retainedKey, readContexts } from './set-rows.js';
import { withdrawDelta } from './withdraw.js';

/** An own delta that was covered by somebody who cannot have seen it, and what it has become. */
export interface Unseen {
  readonly seq: number;
  readonly rows: readonly JournalRow[];
}

export interface UnseenOptions {
  readonly nowMs: number;
  /** The highest own seq that a relay has said to know. */
  readonly takenSeq: number;
  readonly isUnusable: (covering: { readonly id: DeltaId }) => boolean;
}

/**
 * [CX10] Of what others have just superseded, own deltas that nobody else can hold go back to the journal, to be sealed again above what
 * covers them: a context that reaches over them is forged, or passes on one that is. What a usable checkpoint covers is in it, as it was compared.
 */
export function* withdrawUnseen(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  removed: readonly Delta[],
  { nowMs, takenSeq, isUnusable }: UnseenOptions,
): Steps<readonly Unseen[]> {
  const seen = Math.max(takenSeq, yield* readNumber(tx, 'shown'));
  const own = removed.filter((delta) => delta.replica === replica && delta.seq > seen && isWrite(delta));
  const waiting = yield* tx.getMany(
    'outbox',
    own.map(({ seq }) => u64ToBytes(seq)),
  );
  const unseen: Unseen[] = [];
  for (const [i, delta] of own.entries()) {
    const row = waiting[i];
    if (row === undefined || bytesToOutboxPlace(row).hlc !== delta.hlc) continue;
    const key = idToBytes(delta.keyId);
    const contexts = readContexts(key, (yield* tx.get('contexts', key)) ?? new Uint8Array());
    const covering = contexts.filter(({ context }) => covers(context, delta));
    if (covering.some((one) => one.replica === replica)) continue;
    const isDocument = bodyOfDelta(delta).name.kind === 'document';
    if (isDocument && !covering.every(({ trieKey }) => isUnusable(parseTrieKey(trieKey)))) continue;
    tx.delete('retained', retainedKey(delta, nowMs));
    const rows = (yield* withdrawDelta(tx, room, replica, delta.seq, delta)) ?? [];
    unseen.push({ seq: delta.seq, rows });
  }
  return unseen;
}
