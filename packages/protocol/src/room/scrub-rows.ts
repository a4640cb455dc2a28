import { bodyOfDelta } from '../body.js';
import { bytesToHex, concatBytes, equalBytes, hexToBytes, prefixEnd } from '../bytes.js';
import { covers, isEmptyContext } from '../context.js';
import { bytesToDelta, coverOf, type Delta, FLAG, hasFlag, parseTrieKey, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import { attempt } from '../errors.js';
import { deriveKeyId, idToBytes, type KeyId, type KeyName } from '../ids.js';
import type { Row, Steps, Transaction } from '../store/plan.js';
import { readAnyhow } from './contradiction.js';
import { areListed } from './listed.js';
import { type ContextualSibling, dotKey, contextsToRow, readContexts } from './set-rows.js';
import { nextStep, READ_BYTES } from './fetch.js';
import { readOwnReplica } from './meta.js';
import { assertNames, nameKey, nameOfKey } from './name-key.js';
import type { RoomRef } from './room-ref.js';

export interface HeldPage {
  readonly held: readonly Delta[];
  /** Keys whose rows are no deltas, or another delta than the key says. */
  readonly unreadable: readonly Uint8Array[];
  /** Of rows that their keys did not give, and that were written anew [AE8]. */
  readonly contradicting: number;
  readonly rows: number;
  readonly bytes: number;
  readonly last: Uint8Array | undefined;
}

/** The next deltas, each read as carefully as what a peer sends: its id is a hash over all of it. */
export function* readHeld(
  tx: Transaction,
  { hash, roomId }: RoomRef,
  from: Uint8Array,
  limit: number,
): Steps<HeldPage> {
  const keys = yield* tx.keys('deltas', { from, limit });
  const held: Delta[] = [];
  const unreadable: Uint8Array[] = [];
  let contradicting = 0;
  let rows = 0;
  let bytes = 0;
  for (let step = 1; rows < keys.length && bytes < READ_BYTES; step = nextStep(step)) {
    const page = keys.slice(rows, rows + step);
    rows += page.length;
    for (const [i, found] of (yield* tx.getMany('deltas', page)).entries()) {
      const key = page[i] as Uint8Array;
      const row = found ?? (yield* readAnyhow(tx, 'deltas', key, from));
      if (found === undefined) contradicting++;
      if (found === undefined && row !== undefined) tx.rewrite('deltas', key, row);
      const delta = row && attempt(() => bytesToDelta(hash, roomId, row));
      if (delta === undefined || !equalBytes(trieKeyOf(delta), key)) unreadable.push(key);
      else held.push(delta);
      bytes += row?.length ?? 0;
    }
  }
  return {
    held,
    unreadable,
    contradicting,
    rows,
    bytes,
    last: rows < limit && rows === keys.length ? undefined : keys[rows - 1],
  };
}

/** Names each of these under its dot; how many were not. */
export function* restoreDots(tx: Transaction, held: readonly Delta[]): Steps<number> {
  const rows = yield* tx.getMany('dots', held.map(dotKey));
  const namedByDot = new Map<string, Set<string>>();
  let restored = 0;
  for (const [i, delta] of held.entries()) {
    const dot = bytesToHex(dotKey(delta));
    const named = namedByDot.get(dot) ?? new Set(splitWhole(rows[i]).map(bytesToHex));
    namedByDot.set(dot, named);
    if (named.has(bytesToHex(trieKeyOf(delta)))) continue;
    named.add(bytesToHex(trieKeyOf(delta)));
    tx.put('dots', dotKey(delta), concatBytes(...[...named].sort().map(hexToBytes)));
    restored++;
  }
  return restored;
}

/** Says of each name what key it is of; how many rows said something else. */
export function restoreNames(tx: Transaction, room: RoomRef, rows: readonly Row[]): number {
  const wrong = rows.filter(([key, row]) => attempt(() => assertNames(room, key, row) ?? true) === undefined);
  for (const [key] of wrong) {
    const name = attempt(() => nameOfKey(key));
    if (name === undefined) tx.delete('names', key);
    else tx.put('names', key, idToBytes(deriveKeyId(room.hash, room.roomId, name)));
  }
  return wrong.length;
}

/**
 * [AE1] Lists the keys of these under the names that their bodies tell, in the store of a replica: a record that is held and not listed would be
 * missing from its collection, and no root tells of it. How many were missing.
 */
export function* restoreListed(tx: Transaction, room: RoomRef, held: readonly Delta[]): Steps<number> {
  if ((yield* readOwnReplica(tx)) === undefined) return 0;
  const nameKeys = new Map<KeyId, Uint8Array>();
  for (const delta of held) {
    const name = nameKeys.has(delta.keyId) ? undefined : attempt(() => nameOfDelta(room, delta));
    if (name !== undefined) nameKeys.set(delta.keyId, nameKey(name));
  }
  const isListed = yield* areListed(tx, 'names', [...nameKeys.values()]);
  const missing = [...nameKeys].filter((_, i) => !isListed[i]);
  for (const [keyId, key] of missing) tx.rewrite('names', key, idToBytes(keyId));
  return missing.length;
}

/** Undefined where it tells none, or that of another key. */
function nameOfDelta({ hash, roomId }: RoomRef, delta: Delta): KeyName | undefined {
  if (hasFlag(delta, FLAG.floor | FLAG.encrypted)) return undefined;
  const { name } = bodyOfDelta(delta);
  return deriveKeyId(hash, roomId, name) === delta.keyId ? name : undefined;
}

/** Names the tombstones among these as such, and nothing else [FL10]; how many rows said something else. */
export function* restoreTombstones(tx: Transaction, held: readonly Delta[]): Steps<number> {
  const rows = yield* tx.getMany('tombstones', held.map(trieKeyOf));
  let restored = 0;
  for (const [i, delta] of held.entries()) {
    const isTombstone = hasFlag(delta, FLAG.tombstone);
    if (isTombstone === (rows[i] !== undefined)) continue;
    if (isTombstone) tx.put('tombstones', trieKeyOf(delta), new Uint8Array());
    else tx.delete('tombstones', trieKeyOf(delta));
    restored++;
  }
  return restored;
}

/** Tells the contexts of these in the rows of their keys, as they tell them themselves; how many rows did not. */
export function* restoreContexts(tx: Transaction, held: readonly Delta[]): Steps<number> {
  let restored = 0;
  for (const [keyId, deltas] of groupByKey(held.filter((delta) => !isEmptyContext(coverOf(delta))))) {
    const key = idToBytes(keyId);
    const row = yield* tx.get('contexts', key);
    const told = row === undefined ? [] : (attempt(() => readContexts(key, row)) ?? []);
    const trieKeys = new Set(deltas.map((delta) => bytesToHex(trieKeyOf(delta))));
    const others = told.filter(({ trieKey }) => !trieKeys.has(bytesToHex(trieKey)));
    if (replaceRow(tx, key, row, [...others, ...deltas.map(toSibling)]) === 0) continue;
    yield* dropCovered(tx, keyId, deltas);
    restored++;
  }
  return restored;
}

/** [CX2] What came while a context was not known, and is covered by it: its dot and its place in the index are seen to later in the pass. */
function* dropCovered(tx: Transaction, keyId: KeyId, deltas: readonly Delta[]): Steps<void> {
  const from = idToBytes(keyId);
  for (const trieKey of yield* tx.keys('deltas', { from, to: prefixEnd(from) })) {
    const place = parseTrieKey(trieKey);
    if (!deltas.some((delta) => covers(coverOf(delta), place))) continue;
    tx.delete('deltas', trieKey);
    tx.delete('tombstones', trieKey);
  }
}

/**
 * Rows of `contexts` without those that are not held; one that cannot be read tells nothing but what was told anew. How many changed, and what
 * was told of those that are lost: not held, and not covered by what is left.
 */
export function* trimContexts(
  tx: Transaction,
  rows: readonly Row[],
): Steps<{ readonly trimmed: number; readonly lost: readonly ContextualSibling[] }> {
  let trimmed = 0;
  const lost: ContextualSibling[] = [];
  for (const [key, row] of rows) {
    const told = attempt(() => readContexts(key, row)) ?? [];
    const isHeld = yield* areListed(
      tx,
      'deltas',
      told.map(({ trieKey }) => trieKey),
    );
    const kept = told.filter((_, i) => isHeld[i]);
    trimmed += replaceRow(tx, key, row, kept);
    const isCovered = (sibling: ContextualSibling) => kept.some(({ context }) => covers(context, sibling));
    lost.push(...told.filter((sibling, i) => !isHeld[i] && !isCovered(sibling)));
  }
  return { trimmed, lost };
}

function replaceRow(
  tx: Transaction,
  key: Uint8Array,
  before: Uint8Array | undefined,
  contextual: readonly ContextualSibling[],
): number {
  const row = contextual.length === 0 ? undefined : contextsToRow(contextual);
  if (before === undefined ? row === undefined : row !== undefined && equalBytes(row, before)) return 0;
  if (row === undefined) tx.delete('contexts', key);
  else tx.put('contexts', key, row);
  return 1;
}

export interface NamedDelta {
  readonly trieKey: Uint8Array;
  readonly isHeld: boolean;
}

/** What rows of `dots` name, and whether it is there. What is there by its key alone is written anew [AE8]: how many these were. */
export function* readNamedIn(
  tx: Transaction,
  rows: readonly Row[],
): Steps<{
  readonly named: readonly (readonly [key: Uint8Array, row: Uint8Array, named: readonly NamedDelta[]])[];
  readonly contradicting: number;
}> {
  const trieKeys = rows.map(([, row]) => splitWhole(row));
  const all = trieKeys.flat();
  const isListed = yield* areListed(tx, 'deltas', all);
  const unlisted = all.filter((_, i) => !isListed[i]);
  const back = new Set<string>();
  for (const [i, row] of (yield* tx.getMany('deltas', unlisted)).entries()) {
    const trieKey = unlisted[i] as Uint8Array;
    if (row === undefined) continue;
    tx.rewrite('deltas', trieKey, row);
    back.add(bytesToHex(trieKey));
  }
  let at = 0;
  const named = rows.map(([key, row], i) => {
    const deltas = (trieKeys[i] as Uint8Array[]).map((trieKey) => ({
      trieKey,
      isHeld: isListed[at++] === true || back.has(bytesToHex(trieKey)),
    }));
    return [key, row, deltas] as const;
  });
  return { named, contradicting: back.size };
}

/** The trie keys that a row of `dots` has whole. */
function splitWhole(row: Uint8Array = new Uint8Array()): Uint8Array[] {
  return Array.from({ length: Math.floor(row.length / TRIE_KEY_BYTES) }, (_, i) =>
    row.slice(i * TRIE_KEY_BYTES, (i + 1) * TRIE_KEY_BYTES),
  );
}

function toSibling(delta: Delta): ContextualSibling {
  const { replica, hlc } = delta;
  return { replica, hlc, context: coverOf(delta), trieKey: trieKeyOf(delta) };
}

function groupByKey(deltas: readonly Delta[]): ReadonlyMap<KeyId, readonly Delta[]> {
  const byKey = new Map<KeyId, Delta[]>();
  for (const delta of deltas) byKey.set(delta.keyId, [...(byKey.get(delta.keyId) ?? []), delta]);
  return byKey;
}
