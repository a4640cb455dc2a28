import { bytesToU64, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { MangroveError } from '../errors.js';
import { HLC_ZERO, type Hlc } from '../hlc.js';
import { bytesToReplicaId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';

/** Single values of a room's store. */
export const META = {
  /** The HLC: the highest stamp given or accepted. */
  clock: 'clock',
  /** The number of the last journal row. */
  row: 'row',
  /** The `seq` of this replica's last delta. */
  seq: 'seq',
  /** The fencing epoch of the tab that owns the replica [JS3]. */
  epoch: 'epoch',
  /** When the replica was last taken from its owner by force, in ms [JS10]. */
  stolen: 'stolen',
  /** The highest stamp of an own delta that was given away and taken back: somebody may hold it all the same [JS5]. */
  given: 'given',
  /** The highest `seq` of an own delta that a backup has, from where others may have it [CX10]. */
  shown: 'shown',
} as const;

/** The row that tells whose these rows are. */
export const REPLICA = utf8ToBytes('replica');

const keys = new Map(Object.values(META).map((name) => [name, utf8ToBytes(name)]));

/** Throws `INTERNAL` for one that cannot be counted on from. */
export function* readNumber(tx: Transaction, name: keyof typeof META): Steps<number> {
  const bytes = yield* tx.get('meta', keys.get(name) as Uint8Array);
  const number = bytes === undefined ? 0 : bytesToU64(bytes);
  if (!Number.isSafeInteger(number))
    throw new MangroveError('INTERNAL', { reason: `the ${name} on disk is no number` });
  return number;
}

export function writeNumber(tx: Transaction, name: keyof typeof META, value: number): void {
  tx.put('meta', keys.get(name) as Uint8Array, u64ToBytes(value));
}

export function* readClock(tx: Transaction): Steps<Hlc> {
  return ((yield* readNumber(tx, 'clock')) || HLC_ZERO) as Hlc;
}

/** The replica whose `seq`, outbox and journal these rows are; undefined before the first. */
export function* readOwnReplica(tx: Transaction): Steps<ReplicaId | undefined> {
  const row = yield* tx.get('meta', REPLICA);
  return row === undefined ? undefined : bytesToReplicaId(row);
}
