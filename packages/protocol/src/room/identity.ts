import { bytesToU64 } from '../bytes.js';
import { isEmptyContext, joinContexts } from '../context.js';
import { idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './accept.js';
import { asImport, type JournalRow, readJournal, writeRow } from './journal.js';
import { REPLICA, readOwnReplica, writeNumber } from './meta.js';
import { contextOfPrevious, readPrevious } from './previous.js';
import { withdrawDelta } from './withdraw.js';

/**
 * Makes the rows those of `replica`. Where they were another's, whose dots a copy of this profile has used, what was not
 * acknowledged goes back to the journal and everything in the journal becomes an import: its clientIDs are the old replica's, and
 * the new one vouches for them [ID5, CX7]. What was acknowledged stays in the set, as the deltas of another. Nothing is lost.
 */
export function* takeIdentity(tx: Transaction, room: RoomRef, replica: ReplicaId): Steps<void> {
  const former = yield* readOwnReplica(tx);
  if (former === replica) return;
  tx.put('meta', REPLICA, idToBytes(replica));
  if (former === undefined) return;
  for (const key of yield* tx.keys('outbox', { from: new Uint8Array() }))
    yield* withdrawDelta(tx, room, former, bytesToU64(key));
  const rows = yield* readJournal(tx);
  for (const row of rows) {
    const imported = asImport(row);
    if (imported !== row) writeRow(tx, imported);
  }
  yield* nameFormer(tx, room, former, rows);
  for (const key of yield* tx.keys('previous', { from: new Uint8Array() })) tx.delete('previous', key);
  writeNumber(tx, 'seq', 0);
  writeNumber(tx, 'given', 0);
  writeNumber(tx, 'shown', 0);
}

/** Rows name the own delta before them when they are sealed [JS2]. To another replica it is one of somebody else, which they saw. */
function* nameFormer(tx: Transaction, room: RoomRef, former: ReplicaId, rows: readonly JournalRow[]): Steps<void> {
  const byKey = new Map<KeyId, JournalRow[]>();
  for (const row of rows) {
    if (row.name.kind !== 'record') continue;
    const group = byKey.get(row.keyId);
    if (group === undefined) byKey.set(row.keyId, [row]);
    else group.push(row);
  }
  for (const [keyId, group] of byKey) {
    const seen = yield* contextOfPrevious(tx, room, former, group, yield* readPrevious(tx, keyId));
    if (isEmptyContext(seen)) continue;
    for (const row of group) {
      const context = joinContexts([row.context, seen]);
      writeRow(tx, { ...row, context });
    }
  }
}
