import { bodyOfDelta } from '../body.js';
import { concatBytes, equalBytes, keyAfter, prefixEnd, u64ToBytes } from '../bytes.js';
import { covers, EMPTY_CONTEXT, isEmptyContext, joinContexts } from '../context.js';
import { type Delta, FLAG, hasContext, hasFlag, parseTrieKey, trieKeyOf } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { idToBytes, type KeyId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import { LEFT_MAX, type Past, pastToRow, rowToPast } from './past-row.js';
import type { RoomRef } from './room-ref.js';
import { rowToDelta } from './set-rows.js';

/** Keys that are looked at in one step; what is past is leapt over. */
const PAGE_KEYS = 32;
const PAGE_ROWS = 256;

export function* readPast(tx: Transaction, keyIds: readonly KeyId[]): Steps<readonly (Past | undefined)[]> {
  const keys = keyIds.map(idToBytes);
  const rows = yield* tx.getMany('past', keys);
  return rows.map((row, i) => row && rowToPast(keys[i] as Uint8Array, row));
}

/**
 * The trie keys of a key's deltas that are read one by one: in trie order those that are not past, and behind them what is left of those
 * that are. Cost: a few short reads for each replica that has written the key, however long its past is.
 */
export function* readPresentKeys(tx: Transaction, keyId: KeyId, past: Past | undefined): Steps<readonly Uint8Array[]> {
  const { upTo, left } = past ?? { upTo: EMPTY_CONTEXT, left: [] };
  const to = prefixEnd(idToBytes(keyId));
  if (isEmptyContext(upTo)) return yield* tx.keys('deltas', { from: idToBytes(keyId), to });
  const present: Uint8Array[] = [];
  for (let from = idToBytes(keyId); ; ) {
    const page: readonly Uint8Array[] = yield* tx.keys('deltas', { from, to, limit: PAGE_KEYS });
    const isLast = page.length < PAGE_KEYS;
    let next = page.at(-1);
    for (const trieKey of page) {
      const place = parseTrieKey(trieKey);
      const stamp = upTo.stamps.get(place.replica) ?? 0;
      if (place.hlc <= stamp && !isLast) {
        next = concatBytes(trieKey.subarray(0, 24), u64ToBytes(stamp), new Uint8Array(32).fill(255));
        break;
      }
      if (!covers(upTo, place)) present.push(trieKey);
    }
    if (isLast || next === undefined) return [...present, ...left];
    from = keyAfter(next);
  }
}

/** The deltas of a key that are read one by one [FH2, FH4]. */
export function* readPresent(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<readonly Delta[]> {
  const [past] = yield* readPast(tx, [keyId]);
  if (past === undefined) {
    const from = idToBytes(keyId);
    const all = yield* tx.rows('deltas', { from, to: prefixEnd(from) });
    return all.map(([trieKey, row]) => rowToDelta(room, trieKey, row));
  }
  const keys = yield* readPresentKeys(tx, keyId, past);
  const rows = yield* tx.getMany('deltas', keys);
  return rows.flatMap((row, i) => (row === undefined ? [] : [rowToDelta(room, keys[i] as Uint8Array, row)]));
}

/** Whether deltas of records that can be used have seen any of these: it would be hidden as soon as it came. */
export function* isAnyHidden(
  tx: Transaction,
  deltas: readonly Pick<Delta, 'keyId' | 'replica' | 'hlc'>[],
): Steps<boolean> {
  const pasts = yield* readPast(
    tx,
    deltas.map(({ keyId }) => keyId),
  );
  return deltas.some((delta, i) => pasts[i]?.kind === 'superseded' && covers(pasts[i].upTo, delta));
}

/** After these have entered the set: what those of records have seen is past, and what comes late of a document is not in what was merged. */
export function* notePast(
  tx: Transaction,
  added: readonly Delta[],
  isUsable: (delta: Pick<Delta, 'id'>) => boolean,
): Steps<void> {
  const keyIds = [...new Set(added.map(({ keyId }) => keyId))];
  for (const [i, past] of (yield* readPast(tx, keyIds)).entries()) {
    const keyId = keyIds[i] as KeyId;
    const deltas = added.filter((delta) => delta.keyId === keyId);
    if (past?.kind === 'merged') noteLate(tx, keyId, past, deltas);
    else noteSeen(tx, keyId, past, deltas.filter(isUsable));
  }
}

function noteSeen(tx: Transaction, keyId: KeyId, past: Past | undefined, deltas: readonly Delta[]): void {
  const seen = deltas.filter((delta) => hasContext(delta) && isOfRecord(delta)).map(({ context }) => context);
  if (seen.length === 0) return;
  putPast(tx, keyId, { kind: 'superseded', upTo: joinContexts([past?.upTo ?? EMPTY_CONTEXT, ...seen]), left: [] });
}

function noteLate(tx: Transaction, keyId: KeyId, past: Past, deltas: readonly Delta[]): void {
  const late = deltas.filter((delta) => covers(past.upTo, delta)).map(trieKeyOf);
  if (late.length === 0) return;
  const left = [...past.left, ...late];
  if (left.length > LEFT_MAX) forgetPast(tx, keyId);
  else putPast(tx, keyId, { ...past, left });
}

/** After one has left the set again, which was the word of its writer alone. */
export function* forgetOfPast(tx: Transaction, room: RoomRef, delta: Delta): Steps<void> {
  const { keyId } = delta;
  const [past] = yield* readPast(tx, [keyId]);
  if (past === undefined) return;
  if (past.kind === 'superseded') {
    if (hasContext(delta)) yield* rebuildPast(tx, room, keyId);
    return;
  }
  const left = past.left.filter((trieKey) => !equalBytes(trieKey, trieKeyOf(delta)));
  if (left.length < past.left.length) putPast(tx, keyId, { ...past, left });
}

/**
 * Tells anew what of a key is past, from its deltas alone: of a record what those that can be used have seen, of a document nothing. True
 * where that is something else than was told.
 */
export function* rebuildPast(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<boolean> {
  const key = idToBytes(keyId);
  const before = yield* tx.get('past', key);
  forgetPast(tx, keyId);
  let upTo = EMPTY_CONTEXT;
  for (let from = key; ; ) {
    const page = yield* tx.rows('deltas', { from, to: prefixEnd(key), limit: PAGE_ROWS });
    const deltas = page.map(([trieKey, row]) => rowToDelta(room, trieKey, row)).filter(hasContext);
    const faults = yield* tx.getMany(
      'quarantine',
      deltas.map(({ id }) => idToBytes(id)),
    );
    const usable = deltas.filter((delta, i) => faults[i] === undefined && isOfRecord(delta));
    upTo = joinContexts([upTo, ...usable.map(({ context }) => context)]);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_ROWS) break;
    from = keyAfter(last[0]);
  }
  if (!isEmptyContext(upTo)) putPast(tx, keyId, { kind: 'superseded', upTo, left: [] });
  const after = yield* tx.get('past', key);
  return before === undefined || after === undefined ? before !== after : !equalBytes(before, after);
}

export function putPast(tx: Transaction, keyId: KeyId, past: Past): void {
  const key = idToBytes(keyId);
  tx.put('past', key, pastToRow(key, past));
}

export function forgetPast(tx: Transaction, keyId: KeyId): void {
  for (const table of ['past', 'merged'] as const) tx.delete(table, idToBytes(keyId));
}

/** Contexts of a document's deltas say nothing: what has been merged of it could not be taken out again [FH2]. */
export function isOfRecord(delta: Delta): boolean {
  if (hasFlag(delta, FLAG.checkpoint | FLAG.floor | FLAG.encrypted)) return false;
  try {
    return bodyOfDelta(delta).name.kind === 'record';
  } catch (error) {
    if (isMangroveError(error)) return false;
    throw error;
  }
}
