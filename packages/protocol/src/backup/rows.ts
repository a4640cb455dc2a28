import { keyAfter } from '../bytes.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import type { RoomRef } from '../room/room-ref.js';
import { rowToDelta } from '../room/set-rows.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { DeltaBytes } from '../wire/messages.js';

/** Bytes of deltas that one step of a backup reads: what waits in memory for who reads it. */
const STEP_BYTES = 256 * 1024;
const ROWS_FIRST = 4;
const ROWS_MAX = 512;

export interface Found {
  readonly trieKey: Uint8Array;
  readonly seq: number;
  readonly delta: DeltaBytes;
}

/** The rows of a table of deltas from a key on: so many as one step takes, one at least. `next`: where to go on; undefined at the end. */
export function* readRowsWithin(
  tx: Transaction,
  room: RoomRef,
  table: 'deltas' | 'retained',
  from: Uint8Array,
  countMax: number,
): Steps<{ readonly found: readonly Found[]; readonly next: Uint8Array | undefined }> {
  const found: Found[] = [];
  let bytes = 0;
  let next = from;
  while (found.length < countMax && bytes < STEP_BYTES) {
    const limit = rowsWanted(found.length, bytes, countMax);
    const rows = yield* tx.rows(table, { from: next, limit });
    for (const [key, row] of rows) {
      if (found.length > 0 && bytes + row.length > STEP_BYTES) return { found, next };
      found.push(readFound(room, key.subarray(-TRIE_KEY_BYTES), row));
      bytes += row.length;
      next = keyAfter(key);
    }
    if (rows.length < limit) return { found, next: undefined };
  }
  return { found, next };
}

/** The deltas under some keys of the set, as far as they are still there. `taken`: so many keys were looked at, one at least. */
export function* readKeysWithin(
  tx: Transaction,
  room: RoomRef,
  trieKeys: readonly Uint8Array[],
  countMax: number,
  bytesMax = STEP_BYTES,
): Steps<{ readonly found: readonly Found[]; readonly taken: number }> {
  const found: Found[] = [];
  let bytes = 0;
  let taken = 0;
  while (taken < trieKeys.length && found.length < countMax && bytes < bytesMax) {
    const keys = trieKeys.slice(taken, taken + rowsWanted(found.length, bytes, countMax));
    const rows = yield* tx.getMany('deltas', keys);
    for (const [i, row] of rows.entries()) {
      if (row !== undefined && found.length > 0 && bytes + row.length > bytesMax) return { found, taken };
      taken++;
      if (row === undefined) continue;
      found.push(readFound(room, keys[i] as Uint8Array, row));
      bytes += row.length;
    }
  }
  return { found, taken };
}

/** A row may weigh as much as a body, which is only known when it is here: few at first, then as many as seem to fit. */
function rowsWanted(rows: number, bytes: number, countMax: number): number {
  const fitting = rows === 0 ? ROWS_FIRST : Math.ceil((STEP_BYTES - bytes) / (bytes / rows));
  return Math.max(1, Math.min(fitting, ROWS_MAX, countMax - rows));
}

/** What a backup holds is what its key says. Throws `INTERNAL` and `DELTA_MALFORMED`. */
function readFound(room: RoomRef, trieKey: Uint8Array, row: Uint8Array): Found {
  const delta = rowToDelta(room, trieKey, row);
  return { trieKey, seq: delta.seq, delta: row };
}
