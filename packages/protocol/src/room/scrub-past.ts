import { includesContext, joinContexts } from '../context.js';
import { type Delta, hasContext } from '../delta.js';
import { attempt } from '../errors.js';
import { bytesToKeyId, idToBytes, KEY_ID_BYTES, type KeyId } from '../ids.js';
import type { Row, Steps, Transaction } from '../store/plan.js';
import { readFaults } from './readable.js';
import { isAnyLost, isKeyLost } from './lost.js';
import { readOwnReplica } from './meta.js';
import { forgetPast, isOfRecord, putPast, rebuildPast } from './past.js';
import { rowToMerged, rowToPast } from './past-row.js';
import type { RoomRef } from './room-ref.js';

/** Makes the rows of `past` say what these deltas have seen [FH2]; how many did not. A relay, which reads nothing, has no such rows. */
export function* restorePast(tx: Transaction, room: RoomRef, held: readonly Delta[]): Steps<number> {
  if ((yield* readOwnReplica(tx)) === undefined) return 0;
  const contextual = held.filter(hasContext);
  const faults = yield* readFaults(tx, contextual);
  const seenByKey = new Map<KeyId, Delta[]>();
  for (const delta of contextual.filter((one, i) => faults[i] === undefined && isOfRecord(one)))
    seenByKey.set(delta.keyId, [...(seenByKey.get(delta.keyId) ?? []), delta]);
  let restored = 0;
  for (const [keyId, deltas] of seenByKey) {
    const key = idToBytes(keyId);
    const row = yield* tx.get('past', key);
    const told = row && attempt(() => rowToPast(key, row));
    if (row !== undefined && told?.kind !== 'superseded') {
      if (yield* rebuildPast(tx, room, keyId)) restored++;
      continue;
    }
    const upTo = joinContexts([...(told === undefined ? [] : [told.upTo]), ...deltas.map(({ context }) => context)]);
    if (told !== undefined && deltas.every(({ context }) => includesContext(told.upTo, context))) continue;
    putPast(tx, keyId, { kind: 'superseded', upTo, left: [] });
    restored++;
  }
  return restored;
}

/** Rows of `past` that cannot be read, or that tell of what the disk has lost, are told anew from the deltas; how many changed. */
export function* scrubPastRows(tx: Transaction, room: RoomRef, rows: readonly Row[]): Steps<number> {
  const isLossy = yield* isAnyLost(tx);
  let mended = 0;
  for (const [key, row] of rows) {
    const keyId = keyIdOf(key);
    if (keyId === undefined) {
      tx.delete('past', key);
      mended++;
      continue;
    }
    const past = attempt(() => rowToPast(key, row));
    const isWhole = past?.kind !== 'merged' || (yield* tx.get('merged', key)) !== undefined;
    const isLost = past?.kind === 'superseded' && isLossy && (yield* isKeyLost(tx, keyId));
    if (past !== undefined && isWhole && !isLost) continue;
    if (yield* rebuildPast(tx, room, keyId)) mended++;
  }
  return mended;
}

/** What was merged and is not what was written is forgotten: the document is read from its deltas then. How many rows that were. */
export function* scrubMergedRows(tx: Transaction, rows: readonly Row[]): Steps<number> {
  let mended = 0;
  for (const [key, row] of rows) {
    const keyId = keyIdOf(key);
    const pastRow = yield* tx.get('past', key);
    const past = pastRow && attempt(() => rowToPast(key, pastRow));
    if (keyId !== undefined && past?.kind === 'merged' && attempt(() => rowToMerged(key, row)) !== undefined) continue;
    mended++;
    if (past?.kind === 'superseded' || keyId === undefined) tx.delete('merged', key);
    else forgetPast(tx, keyId);
  }
  return mended;
}

const keyIdOf = (key: Uint8Array): KeyId | undefined => (key.length === KEY_ID_BYTES ? bytesToKeyId(key) : undefined);
