import { updateOfDelta } from '../body.js';
import { bytesToHex, compareBytes, equalBytes, keyAfter, prefixEnd } from '../bytes.js';
import { type Delta, FLAG, hasFlag, parseTrieKey, TRIE_KEY_BYTES } from '../delta.js';
import type { Hlc } from '../hlc.js';
import { idToBytes, KEY_ID_BYTES, type KeyId, REPLICA_ID_BYTES } from '../ids.js';
import { type Row, type Steps, together, type Transaction } from '../store/plan.js';
import { readFaults } from './readable.js';
import { readPast, readPresentKeys } from './past.js';
import type { RoomRef } from './room-ref.js';
import { rowToDelta } from './set-rows.js';

const PAGE_KEYS = 4_096;
const PAGE_ROWS = 512;
const STEP_RUNS = 32;
const STAMP_AT = KEY_ID_BYTES + REPLICA_ID_BYTES;

/**
 * The trie keys of all deltas of a key, ascending by stamp, which follows causes, then by replica: in a room of full history all there ever
 * were. Bodies are not read; 64 bytes each.
 */
export function* readKeysByStamp(tx: Transaction, keyId: KeyId): Steps<readonly Uint8Array[]> {
  const all: Uint8Array[] = [];
  const to = prefixEnd(idToBytes(keyId));
  for (let from = idToBytes(keyId); ; ) {
    const page: readonly Uint8Array[] = yield* tx.keys('deltas', { from, to, limit: PAGE_KEYS });
    for (const trieKey of page) all.push(trieKey);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_KEYS) return all.sort(byStamp);
    from = keyAfter(last);
  }
}

/** What of a record is replaced by now, ascending by stamp: its earlier values, deletes among them. */
export function* readReplacedKeys(tx: Transaction, keyId: KeyId): Steps<readonly Uint8Array[]> {
  const [past] = yield* readPast(tx, [keyId]);
  const present = new Set((yield* readPresentKeys(tx, keyId, past)).map(bytesToHex));
  return (yield* readKeysByStamp(tx, keyId)).filter((trieKey) => !present.has(bytesToHex(trieKey)));
}

/**
 * The deltas of some runs that are held and can be read, run by run. A run is of keys that follow on each other: all of one writer between the
 * first and the last; anything else is read one by one.
 */
export function* readRuns(
  tx: Transaction,
  room: RoomRef,
  runs: readonly (readonly Uint8Array[])[],
): Steps<readonly (readonly Delta[])[]> {
  const read: Delta[][] = [];
  for (let at = 0; at < runs.length; at += STEP_RUNS)
    read.push(...(yield* together(runs.slice(at, at + STEP_RUNS).map((run) => readRun(tx, room, run)))));
  return read;
}

function* readRun(tx: Transaction, room: RoomRef, run: readonly Uint8Array[]): Steps<Delta[]> {
  const [from, last] = [run[0], run.at(-1)];
  if (from === undefined || last === undefined) return [];
  const isOfOne = equalBytes(from.subarray(0, STAMP_AT), last.subarray(0, STAMP_AT));
  const rows: readonly Row[] =
    isOfOne && run.length > 1
      ? yield* tx.rows('deltas', { from, to: keyAfter(last) })
      : (yield* tx.getMany('deltas', run)).flatMap((row, i) =>
          row === undefined ? [] : [[run[i] as Uint8Array, row] as const],
        );
  const held = rows.map(([trieKey, row]) => rowToDelta(room, trieKey, row));
  const faults = yield* readFaults(tx, held);
  return held.filter((_, i) => faults[i] === undefined);
}

/** The updates of a document that make its state as of a stamp: those up to it. Reads the document's whole past, a page at a time. */
export function* readUpdatesUpTo(tx: Transaction, room: RoomRef, keyId: KeyId, hlc: Hlc): Steps<readonly Uint8Array[]> {
  const told: { readonly hlc: Hlc; readonly update: Uint8Array }[] = [];
  const to = prefixEnd(idToBytes(keyId));
  for (let from = idToBytes(keyId); ; ) {
    const rows = yield* tx.rows('deltas', { from, to, limit: PAGE_ROWS });
    const within = rows
      .filter(([trieKey]) => parseTrieKey(trieKey).hlc <= hlc)
      .map(([trieKey, row]) => rowToDelta(room, trieKey, row));
    const faults = yield* readFaults(tx, within);
    for (const [i, delta] of within.entries())
      if (faults[i] === undefined && !hasFlag(delta, FLAG.tombstone))
        told.push({ hlc: delta.hlc, update: updateOfDelta(delta) });
    const last = rows.at(-1);
    // What rests on something that it has not got yet takes Yjs many times as long.
    if (last === undefined || rows.length < PAGE_ROWS)
      return told.sort((a, b) => a.hlc - b.hlc).map(({ update }) => update);
    from = keyAfter(last[0]);
  }
}

function byStamp(a: Uint8Array, b: Uint8Array): number {
  return (
    compareBytes(a.subarray(STAMP_AT, STAMP_AT + 8), b.subarray(STAMP_AT, STAMP_AT + 8)) ||
    compareBytes(a.subarray(KEY_ID_BYTES, TRIE_KEY_BYTES), b.subarray(KEY_ID_BYTES, TRIE_KEY_BYTES))
  );
}
