import { bytesToU64, concatBytes, keyAfter, prefixEnd, u64ToBytes } from '../bytes.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import { bytesToReplicaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId } from '../ids.js';
import { type Range, type Steps, type Transaction, together } from '../store/plan.js';

/**
 * Rows of `incoming`: the stub under `u8 0 • trieKey`, part n under `u8 1 • trieKey • u16 n`; all stubs by age under `u8 2 • u64 ms • trieKey`,
 * those that have parts under `u8 3 • u64 ms • sender 8 • trieKey`; how many stubs each sender has, and their bytes, under `u8 4 • sender 8`, and
 * of all together under `u8 5`, with when they were counted. Without a stub there is no row, so that whoever waits for rest looks for one.
 */
const STUB = 0;
const PART = 1;
const AGE = 2;
const BEGUN = 3;
const SENDER = 4;
const TOTAL = 5;

const MS_BYTES = 8;
const STUB_HEAD_BYTES = MS_BYTES + REPLICA_ID_BYTES + 1;
const NOBODY = new Uint8Array(REPLICA_ID_BYTES);
/** Rows that are read in one step: a stub weighs up to 4 kB. */
const STEP_ROWS = 512;

/** A stub that waits for its parts. */
export interface Waiting {
  readonly trieKey: Uint8Array;
  readonly sinceMs: number;
  /** The replica over whose connection it came, at a relay. */
  readonly sender: ReplicaId | undefined;
  readonly isAuthors: boolean;
  readonly stubBytes: Uint8Array;
}

export interface Tally {
  readonly count: number;
  readonly bytes: number;
}

/** How much waits: of some senders, and of all. It goes to the disk with {@link writeTallies}. */
export interface Tallies {
  readonly bySender: Map<ReplicaId | undefined, Tally>;
  all: Tally;
  countedAtMs: number;
}

export const NOTHING: Tally = { count: 0, bytes: 0 };

const rowsOf = (kind: number): Range => ({ from: Uint8Array.of(kind), to: Uint8Array.of(kind + 1) });

export const ALL_STUBS = rowsOf(STUB);
export const ALL_PARTS = rowsOf(PART);
const ALL_AGES = rowsOf(AGE);
const ALL_BEGUN = rowsOf(BEGUN);
const ALL_TALLIES: Range = { from: Uint8Array.of(SENDER) };

export function* readWaiting(
  tx: Transaction,
  trieKeys: readonly Uint8Array[],
): Steps<readonly (Waiting | undefined)[]> {
  const rows = yield* tx.getMany('incoming', trieKeys.map(stubKey));
  return rows.map((row, i) => (row === undefined ? undefined : rowToWaiting(trieKeys[i] as Uint8Array, row)));
}

export function rowToWaiting(trieKey: Uint8Array, row: Uint8Array): Waiting {
  const sender = row.subarray(MS_BYTES, MS_BYTES + REPLICA_ID_BYTES);
  return {
    trieKey,
    sinceMs: bytesToU64(row),
    sender: bytesToSender(sender),
    isAuthors: row[STUB_HEAD_BYTES - 1] === 1,
    stubBytes: row.slice(STUB_HEAD_BYTES),
  };
}

/** In the place of what was known of it, which moves to its new age; `parts`: of those that are here. */
export function putWaiting(tx: Transaction, waiting: Waiting, before: Waiting | undefined, parts: number): void {
  const { trieKey, sinceMs, sender, isAuthors, stubBytes } = waiting;
  if (before !== undefined) deleteByAge(tx, before);
  const head = concatBytes(u64ToBytes(sinceMs), senderToBytes(sender), Uint8Array.of(isAuthors ? 1 : 0));
  tx.put('incoming', stubKey(trieKey), concatBytes(head, stubBytes));
  tx.put('incoming', ageKey(waiting), new Uint8Array());
  if (parts > 0) putBegun(tx, waiting);
}

export function putBegun(tx: Transaction, waiting: Waiting): void {
  tx.put('incoming', begunKey(waiting), new Uint8Array());
}

/** Deletes the rows of these, all but what is counted of them. */
export function* deleteWaiting(tx: Transaction, gone: readonly Waiting[]): Steps<void> {
  const firstParts = yield* tx.getMany(
    'incoming',
    gone.map(({ trieKey }) => partKey(trieKey, 0)),
  );
  const begun = gone.filter((_, i) => firstParts[i] !== undefined);
  const parts = yield* together(begun.map(({ trieKey }) => tx.keys('incoming', partsRange(trieKey))));
  for (const key of parts.flat()) tx.delete('incoming', key);
  for (const waiting of gone) {
    tx.delete('incoming', stubKey(waiting.trieKey));
    deleteByAge(tx, waiting);
  }
}

/** The oldest of all, `max` at most; of those only that came before, where this is given. */
export function* readOldest(tx: Transaction, max: number, beforeMs?: number): Steps<readonly Uint8Array[]> {
  const to = beforeMs === undefined ? ALL_AGES.to : concatBytes(ALL_AGES.from, u64ToBytes(Math.max(0, beforeMs)));
  const keys = yield* tx.keys('incoming', { from: ALL_AGES.from, to, limit: max });
  return keys.map((key) => key.slice(-TRIE_KEY_BYTES));
}

/** All that have parts, the oldest first. There are few of them. */
export function* readBegun(
  tx: Transaction,
): Steps<readonly { readonly trieKey: Uint8Array; readonly sender: ReplicaId | undefined }[]> {
  const keys = yield* tx.keys('incoming', ALL_BEGUN);
  return keys.map((key) => ({
    trieKey: key.slice(-TRIE_KEY_BYTES),
    sender: bytesToSender(key.subarray(-TRIE_KEY_BYTES - REPLICA_ID_BYTES, -TRIE_KEY_BYTES)),
  }));
}

/** What is counted of these senders and of all; undefined where nothing waits, or nothing is counted yet. */
export function* readTallies(tx: Transaction, senders: Iterable<ReplicaId | undefined>): Steps<Tallies | undefined> {
  const distinct = [...new Set(senders)];
  const [all, ...rows] = yield* tx.getMany('incoming', [Uint8Array.of(TOTAL), ...distinct.map(senderKey)]);
  if (all === undefined) return undefined;
  const bySender = new Map(distinct.map((sender, i) => [sender, rowToTally(rows[i])]));
  return { bySender, all: rowToTally(all), countedAtMs: bytesToU64(all, 16) };
}

export function writeTallies(tx: Transaction, { bySender, all, countedAtMs }: Tallies): void {
  for (const [sender, tally] of bySender) writeTally(tx, senderKey(sender), tally);
  writeTally(tx, Uint8Array.of(TOTAL), all, u64ToBytes(countedAtMs));
}

export function tallyUp(tallies: Tallies, sender: ReplicaId | undefined, count: 1 | -1, bytes: number): void {
  const add = (before: Tally): Tally => ({
    count: Math.max(0, before.count + count),
    bytes: Math.max(0, before.bytes + count * bytes),
  });
  tallies.bySender.set(sender, add(tallies.bySender.get(sender) ?? NOTHING));
  tallies.all = add(tallies.all);
}

/** Counts what is there and makes the order by age anew: of a store from before there was one, and where numbers may have come apart. */
export function* recount(tx: Transaction, nowMs: number): Steps<Tallies> {
  const stale = yield* together([
    tx.keys('incoming', ALL_TALLIES),
    tx.keys('incoming', ALL_BEGUN),
    tx.keys('incoming', ALL_AGES),
  ]);
  for (const key of stale.flat()) tx.delete('incoming', key);
  const tallies: Tallies = { bySender: new Map(), all: NOTHING, countedAtMs: nowMs };
  for (let from = ALL_STUBS.from; ; ) {
    const rows = yield* tx.rows('incoming', { ...ALL_STUBS, from, limit: STEP_ROWS });
    const firstParts = yield* tx.getMany(
      'incoming',
      rows.map(([key]) => partKey(key.slice(1), 0)),
    );
    for (const [i, [key, row]] of rows.entries()) {
      const waiting = rowToWaiting(key.slice(1), row);
      tx.put('incoming', ageKey(waiting), new Uint8Array());
      if (firstParts[i] !== undefined) putBegun(tx, waiting);
      tallyUp(tallies, waiting.sender, 1, waiting.stubBytes.length);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < STEP_ROWS) return tallies;
    from = keyAfter(last[0]);
  }
}

/** How many parts are here: they come in order, so the last one tells. */
export function* countHere(tx: Transaction, trieKey: Uint8Array): Steps<number> {
  const [last] = yield* tx.keys('incoming', { ...partsRange(trieKey), limit: 1, reverse: true });
  return last === undefined ? 0 : countUpTo(last);
}

/** How many parts there are up to the one of this key. */
export function countUpTo(partKey: Uint8Array): number {
  return (partKey[1 + TRIE_KEY_BYTES] as number) * 256 + (partKey[2 + TRIE_KEY_BYTES] as number) + 1;
}

export function partKey(trieKey: Uint8Array, index: number): Uint8Array {
  return concatBytes(Uint8Array.of(PART), trieKey, Uint8Array.of(index >>> 8, index & 255));
}

export function partsRange(trieKey: Uint8Array): { from: Uint8Array; to: Uint8Array | undefined } {
  const prefix = concatBytes(Uint8Array.of(PART), trieKey);
  return { from: prefix, to: prefixEnd(prefix) };
}

function deleteByAge(tx: Transaction, waiting: Waiting): void {
  tx.delete('incoming', ageKey(waiting));
  tx.delete('incoming', begunKey(waiting));
}

function writeTally(
  tx: Transaction,
  key: Uint8Array,
  { count, bytes }: Tally,
  more: Uint8Array = new Uint8Array(),
): void {
  if (count === 0) tx.delete('incoming', key);
  else tx.put('incoming', key, concatBytes(u64ToBytes(count), u64ToBytes(bytes), more));
}

function rowToTally(row: Uint8Array | undefined): Tally {
  return row === undefined ? NOTHING : { count: bytesToU64(row), bytes: bytesToU64(row, 8) };
}

const senderToBytes = (sender: ReplicaId | undefined): Uint8Array =>
  sender === undefined ? NOBODY : idToBytes(sender);

const bytesToSender = (bytes: Uint8Array): ReplicaId | undefined =>
  bytes.every((byte) => byte === 0) ? undefined : bytesToReplicaId(bytes);

const stubKey = (trieKey: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(STUB), trieKey);

const ageKey = ({ sinceMs, trieKey }: Waiting): Uint8Array =>
  concatBytes(Uint8Array.of(AGE), u64ToBytes(sinceMs), trieKey);

const begunKey = ({ sinceMs, sender, trieKey }: Waiting): Uint8Array =>
  concatBytes(Uint8Array.of(BEGUN), u64ToBytes(sinceMs), senderToBytes(sender), trieKey);

const senderKey = (sender: ReplicaId | undefined): Uint8Array =>
  concatBytes(Uint8Array.of(SENDER), senderToBytes(sender));
