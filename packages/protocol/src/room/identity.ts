import { bytesToU64 } from '../bytes.js';
import { FLAG, hasFlag } from '../delta.js';
import { idToBytes, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './accept.js';
import { type Edit, type JournalRow, journalKey, journalRowToBytes, readJournal } from './journal.js';
import { REPLICA, readOwnReplica, writeNumber } from './meta.js';
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
  for (const row of yield* readJournal(tx)) {
    const imported = asImport(row);
    if (imported !== row) tx.put('journal', journalKey(row), journalRowToBytes(imported));
  }
  for (const key of yield* tx.keys('previous', { from: new Uint8Array() })) tx.delete('previous', key);
  writeNumber(tx, 'seq', 0);
  writeNumber(tx, 'given', 0);
}

/** The same edit, vouched for by whoever seals it instead of by the clientID it was made under. */
export function asImport<E extends Edit | JournalRow>(edit: E): E {
  if (edit.name.kind === 'record' || hasFlag(edit, FLAG.import)) return edit;
  return { ...edit, flags: edit.flags | FLAG.import, nonces: [] };
}
