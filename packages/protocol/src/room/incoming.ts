import { bytesToHex, bytesToU64, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { bytesToDelta, type Delta, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import { bytesToReplicaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import type { Steps, Transaction } from '../store/plan.js';
import { bytesToStub, isPartOf, joinParts, type Stub } from '../stub.js';
import type { RoomRef } from './room-ref.js';

/** A delta of several parts that is being fetched. What is in these rows is in no set: it is neither held nor covered. */
export interface Fetch {
  readonly trieKey: Uint8Array;
  readonly parts: number;
  /** So many of its first parts are here. */
  readonly have: number;
  readonly bodyBytes: number;
}

/** A stub whose signature verified, or that the author's proven connection vouches for [SY9]. */
export interface KeptStub {
  readonly stub: Stub;
  /** The replica over whose connection it came, at a relay. */
  readonly sender: ReplicaId | undefined;
  /** It came as its author's own, not as a repair: the rule for a used dot is then another [CX7]. */
  readonly isAuthors: boolean;
}

/** Rows of `incoming`: the stub under `u8 0 • trieKey`, part n under `u8 1 • trieKey • u16 n`. */
const STUB = 0;
const PART = 1;
const NOBODY = new Uint8Array(REPLICA_ID_BYTES);
const SINCE_BYTES = 8;
const STUB_HEAD_BYTES = SINCE_BYTES + REPLICA_ID_BYTES + 1;

/**
 * Keeps stubs, so that their parts can be fetched over any number of connections [SY18]. What is held already is left out.
 * Each sender has room for `incomingMax` of them, `incomingBytesMax` together, and for `incomingStartedMax` that have parts; what has waited
 * for `incomingExpiryMs` goes. What finds no room is not kept, and roots stay different.
 *
 * What to fetch now: one for each stub that is kept, in their order.
 */
export function* keepStubs(
  tx: Transaction,
  stubs: readonly KeptStub[],
  nowMs: number,
): Steps<{ readonly fetches: readonly Fetch[]; readonly held: readonly Uint8Array[] }> {
  if (stubs.length === 0) return { fetches: [], held: [] };
  const kept = yield* sweep(tx, nowMs);
  const trieKeys = stubs.map(({ stub }) => trieKeyOf(stub));
  const heldRows = yield* tx.getMany('deltas', trieKeys);
  const { incomingMax, incomingBytesMax } = defaultLimits;
  const fetches: Fetch[] = [];
  const held: Uint8Array[] = [];
  for (const [i, { stub, sender, isAuthors }] of stubs.entries()) {
    const trieKey = trieKeys[i] as Uint8Array;
    if (heldRows[i] !== undefined) {
      held.push(trieKey);
      continue;
    }
    const who = sender ?? '';
    const { count, bytes } = kept.get(who) ?? NOTHING;
    const isKnown = (yield* tx.get('incoming', stubKey(trieKey))) !== undefined;
    const after = { count: count + 1, bytes: bytes + stub.bytes.length };
    if (!isKnown && (after.count > incomingMax || after.bytes > incomingBytesMax)) continue;
    if (!isKnown) kept.set(who, after);
    // Said again it is as if it were new: somebody has it.
    const head = concatBytes(u64ToBytes(Math.max(0, nowMs)), sender === undefined ? NOBODY : idToBytes(sender));
    tx.put('incoming', stubKey(trieKey), concatBytes(head, Uint8Array.of(isAuthors ? 1 : 0), stub.bytes));
    fetches.push(yield* fetchOf(tx, trieKey, stub));
  }
  return { fetches, held };
}

/** All that is to be fetched, what has begun first. Two reads for any number of stubs, as this is done on each new connection. */
export function* readFetches(tx: Transaction, room: RoomRef): Steps<readonly Fetch[]> {
  const rows = yield* tx.rows('incoming', ALL_STUBS);
  const haveByName = new Map<string, number>();
  // In order, so that the last one of each tells.
  for (const key of yield* tx.keys('incoming', ALL_PARTS))
    haveByName.set(bytesToHex(key.subarray(1, 1 + TRIE_KEY_BYTES)), countUpTo(key));
  const fetches = rows.map(([key, row]): Fetch => {
    const { partHashes, bodyBytes } = stubOf(room, row);
    const trieKey = key.slice(1);
    return { trieKey, parts: partHashes.length, have: haveByName.get(bytesToHex(trieKey)) ?? 0, bodyBytes };
  });
  return [...fetches.filter(({ have }) => have > 0), ...fetches.filter(({ have }) => have === 0)];
}

/**
 * Keeps one part when it is the next one and what the stub says it is. How many are here then; the same as before where it was not
 * kept, and undefined where nothing is known of such a delta.
 */
export function* keepPart(
  tx: Transaction,
  room: RoomRef,
  { trieKey, index, bytes }: { readonly trieKey: Uint8Array; readonly index: number; readonly bytes: Uint8Array },
): Steps<number | undefined> {
  const row = yield* tx.get('incoming', stubKey(trieKey));
  if (row === undefined) return undefined;
  const have = yield* countHere(tx, trieKey);
  if (index !== have || !isPartOf(room.hash, stubOf(room, row), index, bytes)) return have;
  tx.put('incoming', partKey(trieKey, index), bytes);
  return have + 1;
}

export interface Joined {
  readonly delta: Delta;
  /** As {@link KeptStub} has it. */
  readonly isAuthors: boolean;
}

/**
 * The delta whose parts are all here, or that is held by now; undefined while some are missing. Its rows go when it is accepted, by
 * {@link forgetIncoming}, in the same transaction.
 */
export function* readJoined(tx: Transaction, room: RoomRef, trieKey: Uint8Array): Steps<Joined | undefined> {
  const { hash, roomId } = room;
  const row = yield* tx.get('incoming', stubKey(trieKey));
  if (row === undefined) {
    const bytes = yield* tx.get('deltas', trieKey);
    return bytes && { delta: bytesToDelta(hash, roomId, bytes), isAuthors: false };
  }
  const stub = stubOf(room, row);
  const parts = (yield* tx.rows('incoming', partsRange(trieKey))).map(([, part]) => part);
  if (parts.length < stub.partHashes.length) return undefined;
  return { delta: bytesToDelta(hash, roomId, joinParts(stub, parts)), isAuthors: row[STUB_HEAD_BYTES - 1] === 1 };
}

/** Deletes what was kept of these deltas on their way. */
export function* forgetIncoming(tx: Transaction, trieKeys: readonly Uint8Array[]): Steps<void> {
  for (const trieKey of trieKeys) {
    if ((yield* tx.get('incoming', stubKey(trieKey))) === undefined) continue;
    tx.delete('incoming', stubKey(trieKey));
    for (const key of yield* tx.keys('incoming', partsRange(trieKey))) tx.delete('incoming', key);
  }
}

interface Kept {
  readonly count: number;
  readonly bytes: number;
}

const NOTHING: Kept = { count: 0, bytes: 0 };

interface Waiting {
  readonly trieKey: Uint8Array;
  readonly sinceMs: number;
  readonly sender: string;
  readonly bytes: number;
  readonly isStarted: boolean;
}

/** Deletes what nobody has sent for too long, and the oldest of too many that were begun. How many are left of each sender. */
function* sweep(tx: Transaction, nowMs: number): Steps<Map<string, Kept>> {
  const { incomingExpiryMs, incomingStartedMax } = defaultLimits;
  const rows = yield* tx.rows('incoming', ALL_STUBS);
  const firstParts = yield* tx.getMany(
    'incoming',
    rows.map(([key]) => partKey(key.slice(1), 0)),
  );
  const waiting = rows.map(([key, row], i): Waiting => {
    const sender = row.subarray(SINCE_BYTES, STUB_HEAD_BYTES - 1);
    return {
      trieKey: key.slice(1),
      sinceMs: bytesToU64(row),
      bytes: row.length - STUB_HEAD_BYTES,
      sender: sender.every((byte) => byte === 0) ? '' : bytesToReplicaId(sender),
      isStarted: firstParts[i] !== undefined,
    };
  });
  const left = new Map<string, Kept>();
  const started = new Map<string, number>();
  const gone: Uint8Array[] = [];
  // The youngest first, so that those over the bound are the oldest.
  for (const { trieKey, sinceMs, sender, bytes, isStarted } of waiting.sort((a, b) => b.sinceMs - a.sinceMs)) {
    const begun = (started.get(sender) ?? 0) + (isStarted ? 1 : 0);
    if (nowMs - sinceMs > incomingExpiryMs || (isStarted && begun > incomingStartedMax)) gone.push(trieKey);
    else {
      started.set(sender, begun);
      const before = left.get(sender) ?? NOTHING;
      left.set(sender, { count: before.count + 1, bytes: before.bytes + bytes });
    }
  }
  yield* forgetIncoming(tx, gone);
  return left;
}

function* fetchOf(tx: Transaction, trieKey: Uint8Array, stub: Stub): Steps<Fetch> {
  return { trieKey, parts: stub.partHashes.length, have: yield* countHere(tx, trieKey), bodyBytes: stub.bodyBytes };
}

/** Parts come in order, so the last one tells. */
function* countHere(tx: Transaction, trieKey: Uint8Array): Steps<number> {
  const [last] = yield* tx.keys('incoming', { ...partsRange(trieKey), limit: 1, reverse: true });
  return last === undefined ? 0 : countUpTo(last);
}

/** How many parts there are up to this one. */
function countUpTo(partKey: Uint8Array): number {
  return (partKey[1 + TRIE_KEY_BYTES] as number) * 256 + (partKey[2 + TRIE_KEY_BYTES] as number) + 1;
}

function stubOf({ hash, roomId }: RoomRef, row: Uint8Array): Stub {
  return bytesToStub(hash, roomId, row.slice(STUB_HEAD_BYTES));
}

function stubKey(trieKey: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(STUB), trieKey);
}

function partKey(trieKey: Uint8Array, index: number): Uint8Array {
  return concatBytes(Uint8Array.of(PART), trieKey, Uint8Array.of(index >>> 8, index & 255));
}

const ALL_STUBS = { from: Uint8Array.of(STUB), to: Uint8Array.of(PART) };
const ALL_PARTS = { from: Uint8Array.of(PART) };

function partsRange(trieKey: Uint8Array): { from: Uint8Array; to: Uint8Array | undefined } {
  const prefix = concatBytes(Uint8Array.of(PART), trieKey);
  return { from: prefix, to: prefixEnd(prefix) };
}
