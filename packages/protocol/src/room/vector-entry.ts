import { bytesToU64, concatBytes, u64ToBytes } from '../bytes.js';
import type { Place } from '../floor.js';
import { HLC_ZERO, type Hlc } from '../hlc.js';
import { idToBytes, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';

export interface Claim {
  readonly seq: number;
  readonly proved: Place;
}

export interface Entry extends Claim {
  /** There while something is lost that the entry may rest upon: what it said before, and will say again [AE6]. */
  readonly claim?: Claim | undefined;
}

/** A row of `vector` := claim • [claim]; `claim := u64 seq • u64 provedSeq • u64 provedHlc`. */
export const ENTRY_BYTES = 24;
export const NOWHERE: Place = { seq: 0, hlc: HLC_ZERO };

export function* readEntries(tx: Transaction, replicas: readonly ReplicaId[]): Steps<readonly (Entry | undefined)[]> {
  const rows = yield* tx.getMany('vector', replicas.map(idToBytes));
  return rows.map((row) => row && rowToEntry(row));
}

export function putEntry(tx: Transaction, replica: ReplicaId, entry: Entry): void {
  const claim = entry.claim === undefined ? [] : [claimToBytes(entry.claim)];
  tx.put('vector', idToBytes(replica), concatBytes(claimToBytes(entry), ...claim));
}

export function rowToEntry(row: Uint8Array): Entry {
  // A row from before floors tells nothing of what is proved.
  if (row.length < ENTRY_BYTES) return { seq: bytesToU64(row), proved: NOWHERE };
  const claim = row.length > ENTRY_BYTES ? bytesToClaim(row.subarray(ENTRY_BYTES)) : undefined;
  return { ...bytesToClaim(row), claim };
}

/** Whether a row of `vector` can be read, and says all. */
export function isEntry(row: Uint8Array | undefined): boolean {
  return row?.length === ENTRY_BYTES || row?.length === 2 * ENTRY_BYTES;
}

function bytesToClaim(row: Uint8Array): Claim {
  return { seq: bytesToU64(row), proved: { seq: bytesToU64(row, 8), hlc: bytesToU64(row, 16) as Hlc } };
}

function claimToBytes({ seq, proved }: Claim): Uint8Array {
  return concatBytes(u64ToBytes(seq), u64ToBytes(proved.seq), u64ToBytes(proved.hlc));
}
