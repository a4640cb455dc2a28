import { bytesToHex } from '../bytes.js';
import { bytesToDelta, type Delta, TRIE_KEY_BYTES, trieKeyOf } from '../delta.js';
import type { ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { bytesToStub, isPartOf, joinParts, type Stub } from '../stub.js';
import {
  ALL_PARTS,
  ALL_STUBS,
  countHere,
  countUpTo,
  deleteWaiting,
  NOTHING,
  partKey,
  partsRange,
  putBegun,
  putWaiting,
  readBegun,
  readOldest,
  readTallies,
  readWaiting,
  recount,
  rowToWaiting,
  type Tallies,
  tallyUp,
  type Waiting,
  writeTallies,
} from './incoming-rows.js';
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

/** Of what has expired so many go at once: what is left over goes with the stubs that come next. */
const EXPIRED_MAX = 256;
/** Rows may be lost behind the back of what was counted, and then nothing would find room any more. Counting anew reads everything. */
const RECOUNT_MS = 3_600_000;

/**
 * Keeps stubs, so that their parts can be fetched over any number of connections [SY18]. What is held already is left out.
 * Each sender has room for `incomingMax` of them, `incomingBytesMax` together; what finds no room is not kept, and roots stay different. All
 * senders have room for `incomingAllMax`, `incomingAllBytesMax` together: a new one takes the place of the oldest. What has waited for
 * `incomingExpiryMs` goes.
 *
 * What to fetch now: one for each stub that is kept, in their order. Cost: a few reads for each of these stubs, whatever else waits.
 */
export function* keepStubs(
  tx: Transaction,
  stubs: readonly KeptStub[],
  nowMs: number,
): Steps<{ readonly fetches: readonly Fetch[]; readonly held: readonly Uint8Array[] }> {
  if (stubs.length === 0) return { fetches: [], held: [] };
  const { incomingMax, incomingBytesMax, incomingExpiryMs } = defaultLimits;
  yield* forgetIncoming(tx, yield* readOldest(tx, EXPIRED_MAX, nowMs - incomingExpiryMs));
  const trieKeys = stubs.map(({ stub }) => trieKeyOf(stub));
  const heldRows = yield* tx.getMany('deltas', trieKeys);
  const known = yield* readWaiting(tx, trieKeys);
  const haveByName = yield* countEach(
    tx,
    trieKeys.filter((_, i) => known[i] !== undefined),
  );
  const senders = [...stubs.map(({ sender }) => sender), ...known.map((before) => before?.sender)];
  let tallies = (yield* readTallies(tx, senders)) ?? (yield* recount(tx, nowMs));
  const fetches: Fetch[] = [];
  const held: Uint8Array[] = [];
  const met = new Map<string, Waiting>();
  for (const [i, { stub, sender, isAuthors }] of stubs.entries()) {
    const trieKey = trieKeys[i] as Uint8Array;
    if (heldRows[i] !== undefined) {
      held.push(trieKey);
      continue;
    }
    const name = bytesToHex(trieKey);
    const before = met.get(name) ?? known[i];
    const isOver = () => {
      const { count, bytes } = tallies.bySender.get(sender) ?? NOTHING;
      return count + 1 > incomingMax || bytes + stub.bytes.length > incomingBytesMax;
    };
    if (before === undefined && isOver()) {
      if (nowMs - tallies.countedAtMs > RECOUNT_MS) tallies = yield* recount(tx, nowMs);
      if (isOver()) continue;
    }
    // Said again it is as if it were new: somebody has it.
    const waiting = { trieKey, sinceMs: Math.max(0, nowMs), sender, isAuthors, stubBytes: stub.bytes };
    const parts = haveByName.get(name) ?? 0;
    putWaiting(tx, waiting, before, parts);
    if (before !== undefined) tallyUp(tallies, before.sender, -1, before.stubBytes.length);
    tallyUp(tallies, sender, 1, stub.bytes.length);
    met.set(name, waiting);
    fetches.push({ trieKey, parts: stub.partHashes.length, have: parts, bodyBytes: stub.bodyBytes });
  }
  writeTallies(tx, tallies);
  const gone = yield* makeRoom(tx, tallies);
  return { fetches: fetches.filter(({ trieKey }) => !gone.has(bytesToHex(trieKey))), held };
}

/** All that is to be fetched, what has begun first. Two reads for any number of stubs, as this is done on each new connection. */
export function* readFetches(tx: Transaction, room: RoomRef): Steps<readonly Fetch[]> {
  const rows = yield* tx.rows('incoming', ALL_STUBS);
  const haveByName = new Map<string, number>();
  // In order, so that the last one of each tells.
  for (const key of yield* tx.keys('incoming', ALL_PARTS))
    haveByName.set(bytesToHex(key.subarray(1, 1 + TRIE_KEY_BYTES)), countUpTo(key));
  const fetches = rows.map(([key, row]): Fetch => {
    const trieKey = key.slice(1);
    const { partHashes, bodyBytes } = stubOf(room, rowToWaiting(trieKey, row));
    return { trieKey, parts: partHashes.length, have: haveByName.get(bytesToHex(trieKey)) ?? 0, bodyBytes };
  });
  return [...fetches.filter(({ have }) => have > 0), ...fetches.filter(({ have }) => have === 0)];
}

/**
 * Keeps one part when it is the next one and what the stub says it is. How many are here then; the same as before where it was not
 * kept, and undefined where nothing is known of such a delta. Each sender has room for `incomingStartedMax` that have parts, all
 * have room for `incomingStartedAllMax`: the oldest others go, of whoever has begun most.
 */
export function* keepPart(
  tx: Transaction,
  room: RoomRef,
  { trieKey, index, bytes }: { readonly trieKey: Uint8Array; readonly index: number; readonly bytes: Uint8Array },
): Steps<number | undefined> {
  const [waiting] = yield* readWaiting(tx, [trieKey]);
  if (waiting === undefined) return undefined;
  const have = yield* countHere(tx, trieKey);
  if (index !== have || !isPartOf(room.hash, stubOf(room, waiting), index, bytes)) return have;
  tx.put('incoming', partKey(trieKey, index), bytes);
  if (have === 0) {
    putBegun(tx, waiting);
    yield* forgetIncoming(tx, yield* readOverBegun(tx, waiting));
  }
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
  const [waiting] = yield* readWaiting(tx, [trieKey]);
  if (waiting === undefined) {
    const bytes = yield* tx.get('deltas', trieKey);
    return bytes && { delta: bytesToDelta(hash, roomId, bytes), isAuthors: false };
  }
  const stub = stubOf(room, waiting);
  const parts = (yield* tx.rows('incoming', partsRange(trieKey))).map(([, part]) => part);
  if (parts.length < stub.partHashes.length) return undefined;
  return { delta: bytesToDelta(hash, roomId, joinParts(stub, parts)), isAuthors: waiting.isAuthors };
}

/** Deletes what was kept of these deltas on their way. */
export function* forgetIncoming(tx: Transaction, trieKeys: readonly Uint8Array[]): Steps<void> {
  if (trieKeys.length === 0) return;
  const distinct = new Map(trieKeys.map((trieKey) => [bytesToHex(trieKey), trieKey]));
  const gone = (yield* readWaiting(tx, [...distinct.values()])).filter((waiting) => waiting !== undefined);
  if (gone.length === 0) return;
  const tallies = yield* readTallies(
    tx,
    gone.map(({ sender }) => sender),
  );
  yield* deleteWaiting(tx, gone);
  // Of a store from before there were numbers: the next stub has it counted.
  if (tallies === undefined) return;
  for (const { sender, stubBytes } of gone) tallyUp(tallies, sender, -1, stubBytes.length);
  writeTallies(tx, tallies);
}

/** The oldest go until all senders together have room; their names. Whoever has them offers them again, as their parts were not asked for. */
function* makeRoom(tx: Transaction, { all }: Tallies): Steps<ReadonlySet<string>> {
  const { incomingAllMax, incomingAllBytesMax } = defaultLimits;
  let { count, bytes } = all;
  const gone = new Set<string>();
  while (count > incomingAllMax || bytes > incomingAllBytesMax) {
    const oldest = yield* readWaiting(tx, yield* readOldest(tx, EXPIRED_MAX));
    const over: Uint8Array[] = [];
    for (const waiting of oldest) {
      if (waiting === undefined || (count <= incomingAllMax && bytes <= incomingAllBytesMax)) continue;
      over.push(waiting.trieKey);
      gone.add(bytesToHex(waiting.trieKey));
      count--;
      bytes -= waiting.stubBytes.length;
    }
    if (over.length === 0) break;
    yield* forgetIncoming(tx, over);
  }
  return gone;
}

/** Those that go as this one has begun: the oldest of its sender's, and of whoever has begun most. */
function* readOverBegun(tx: Transaction, { trieKey, sender }: Waiting): Steps<readonly Uint8Array[]> {
  const { incomingStartedMax, incomingStartedAllMax } = defaultLimits;
  const name = bytesToHex(trieKey);
  const left = (yield* readBegun(tx)).filter((one) => bytesToHex(one.trieKey) !== name);
  const begunBy = (who: ReplicaId | undefined) => left.filter((one) => one.sender === who);
  const over: Uint8Array[] = [];
  const drop = (one: (typeof left)[number]) => over.push(...left.splice(left.indexOf(one), 1).map((it) => it.trieKey));
  for (const one of begunBy(sender).slice(0, Math.max(0, begunBy(sender).length + 1 - incomingStartedMax))) drop(one);
  while (left.length + 1 > incomingStartedAllMax) {
    const most = left.reduce((a, b) => (begunBy(b.sender).length > begunBy(a.sender).length ? b : a));
    drop(most);
  }
  return over;
}

function stubOf({ hash, roomId }: RoomRef, { stubBytes }: Waiting): Stub {
  return bytesToStub(hash, roomId, stubBytes);
}

function* countEach(tx: Transaction, trieKeys: readonly Uint8Array[]): Steps<ReadonlyMap<string, number>> {
  const counts = yield* together(trieKeys.map((trieKey) => countHere(tx, trieKey)));
  return new Map(trieKeys.map((trieKey, i) => [bytesToHex(trieKey), counts[i] as number]));
}
