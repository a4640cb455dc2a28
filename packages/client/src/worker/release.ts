import {
  type DeltaId,
  faultOfQuarantine,
  hasContext,
  idToBytes,
  type Reception,
  type ReplicaId,
  type RoomRef,
  settleRetained,
  type Steps,
  type Transaction,
} from '@mangrove/protocol';

/**
 * Takes what can be used after all out of the quarantine, and returns what was there. A delta's id does not say how it is signed: what came
 * with a bad signature first may be an honest delta that somebody spoiled on the way; nor is one quarantined that is held. What was
 * too costly on trial may pass the next one [CX9]. What was once found wrong stays so.
 */
export function* release(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  { arrivals, vouched }: Reception['judgement'],
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
  // What it superseded was kept, and read in its place.
  if (released.some(({ delta }) => hasContext(delta))) yield* settleRetained(tx, room, replica);
  return new Set(released.map(({ delta }) => delta.id));
}
