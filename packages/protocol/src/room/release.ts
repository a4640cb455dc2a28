import { hasContext } from '../delta.js';
import { type DeltaId, idToBytes, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { Judgement } from './judge.js';
import { rebuildPast } from './past.js';
import { faultOfQuarantine } from './quarantine.js';
import { settleRetained } from './retained.js';
import type { RoomRef } from './room-ref.js';

/**
 * Takes what can be used after all out of the quarantine, and returns what was there. A delta's id does not say how it is signed: what came
 * with a bad signature first may be an honest delta that somebody spoiled on the way; nor is one quarantined that is held. What was
 * too costly on trial may pass the next one [CX9]. What was once found wrong stays so.
 */
export function* releaseUsable(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  { arrivals, vouched }: Judgement,
): Steps<ReadonlySet<DeltaId>> {
  const usable = arrivals.filter(({ fault }) => fault === undefined);
  const rows = yield* tx.getMany(
    'quarantine',
    usable.map(({ delta }) => idToBytes(delta.id)),
  );
  const released = usable.filter((_, i) => rows[i] !== undefined && faultOfQuarantine(rows[i]) !== 'CHECKPOINT_WRONG');
  for (const { delta } of released) {
    tx.delete('quarantine', idToBytes(delta.id));
    if (vouched.has(delta.id)) tx.put('vouched', idToBytes(delta.id), new Uint8Array());
  }
  const covering = released.filter(({ delta }) => hasContext(delta));
  // What it superseded was kept, or was never hidden, and read in its place.
  if (room.history === 'full') for (const { delta } of covering) yield* rebuildPast(tx, room, delta.keyId);
  else if (covering.length > 0) yield* settleRetained(tx, room, replica);
  return new Set(released.map(({ delta }) => delta.id));
}
