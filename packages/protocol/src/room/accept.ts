import { bytesToHex, hexToBytes } from '../bytes.js';
import { covers, isEmptyContext } from '../context.js';
import { coverOf, type Delta, FLAG, hasFlag, parseTrieKey, trieKeyOf } from '../delta.js';
import { floorOf } from '../floor.js';
import { deriveFloorKeyId, idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import { readRoot, updateTrie } from '../merkle/trie.js';
import { PART_BYTES } from '../parts.js';
import type { Steps, Transaction } from '../store/plan.js';
import { countFloors, forgetFloor, keepFloor, noteArrived, readUnder } from './floor-rows.js';
import { forgetIncoming } from './incoming.js';
import { areListed } from './listed.js';
import type { Outcome } from './outcome.js';
import { forgetOfPast, notePast } from './past.js';
import type { RoomRef } from './room-ref.js';
import {
  changeDots,
  dotKey,
  loadSiblings,
  readContexts,
  readDots,
  removeDeltas,
  retain,
  type Siblings,
  writeContexts,
} from './set-rows.js';
import { readLastTaken } from './taken.js';
import { putInTrash, type Swept } from './trash.js';
import { advanceVector, readSeqs, restartVector, retractVector, settleVector } from './vector.js';

export type { RoomRef };

export interface AcceptOptions {
  readonly nowMs: number;
  /** `author`: pushed by the replica that signed it, who must not reuse a dot. `others`: from anybody, both ids of a fork are kept. */
  readonly from: 'author' | 'others';
  /**
   * Superseded bytes go to `retained`, also those of what is superseded on arrival: always at a relay; at a replica when the
   * superseding body cannot be used [CX8], and of what an own checkpoint covers until a relay has it [CP8]. In a room of full history all
   * bytes are kept: there such a delta hides nothing [FH2].
   */
  readonly retain: (superseding: Pick<Delta, 'id'>) => boolean;
  /** `all`: tombstones that a floor sweeps are kept as well, as the floor may yet be refused. Without it only what has content is. */
  readonly trash?: 'content' | 'all';
}

export interface Acceptance {
  /** One for each delta, in order. */
  readonly outcomes: readonly Outcome[];
  /** Deltas that left the set because another superseded them. */
  readonly removed: readonly Delta[];
  /** Deltas that left it because a floor came that they lie under. */
  readonly swept: readonly Delta[];
  readonly root: Uint8Array;
  readonly count: number;
}

/**
 * Takes validly signed deltas into the set: siblings, contexts, dots, vector and Merkle nodes in one plan [CX2, CX3, CX6, FL4].
 *
 * The result depends on the set alone: a delta that a held one covers is dropped, one that covers held ones replaces them, what lies
 * under a held floor goes, and nothing else is remembered; in a room of full history nothing goes [FH1]. Cost: one read per delta and key, a key range for deltas with a context, the
 * Merkle paths; for a floor all keys of the set.
 */
export function* acceptDeltas(
  tx: Transaction,
  room: RoomRef,
  deltas: readonly Delta[],
  options: AcceptOptions,
): Steps<Acceptance> {
  if (room.history === 'full') return yield* acceptForGood(tx, room, deltas, options);
  let acceptance: Acceptance | undefined;
  // A floor changes what may stand, for what is here and for all that comes after it.
  for (const run of runsBetweenFloors(deltas)) {
    const next = yield* acceptRun(tx, room, run, options);
    acceptance = acceptance === undefined ? next : joinAcceptances(acceptance, next);
  }
  return acceptance ?? { outcomes: [], removed: [], swept: [], ...(yield* readRoot(tx)) };
}

function* acceptRun(
  tx: Transaction,
  room: RoomRef,
  deltas: readonly Delta[],
  options: AcceptOptions,
): Steps<Acceptance> {
  const trieKeys = deltas.map(trieKeyOf);
  const held = yield* tx.getMany('deltas', trieKeys);
  const dots = yield* readDots(tx, deltas);
  const seqs = yield* readSeqs(
    tx,
    deltas.map((delta) => delta.replica),
  );
  const siblingsByKey = yield* loadSiblings(tx, deltas);
  const taken = options.from === 'author' ? yield* readTakenOf(tx, deltas, siblingsByKey) : undefined;
  const hasFloors = (yield* countFloors(tx, room)) > 0;
  const under = hasFloors ? yield* readUnder(tx, room, deltas) : [];

  const added = new Map<string, Delta>();
  const removed = new Map<string, Uint8Array>();
  const retainedKeys = new Set<string>();
  const retained: Delta[] = [];
  const trashed: Swept[] = [];
  const newDots: Delta[] = [];
  /** New to us in this batch, whatever became of them. */
  const met = new Set<string>();
  const dotsOfBatch = new Map<string, string>();

  const outcomes = deltas.map((delta, i): Outcome => {
    const trieKey = trieKeys[i] as Uint8Array;
    const name = bytesToHex(trieKey);
    const siblings = siblingsByKey.get(delta.keyId) as Siblings;
    if (added.has(name) || (held[i] !== undefined && !removed.has(name))) return 'known';
    const seen = (seqs.get(delta.replica) ?? 0) >= delta.seq;
    const dotName = bytesToHex(dotKey(delta));
    const forked = isForked(name, dots.get(dotName), dotsOfBatch.get(dotName));
    // Looked at before what is covered: that a dot was used twice is news even where the second delta is superseded.
    if (options.from === 'author' && forked) return 'reused';
    const covering = siblings.contextual.filter((sibling) => covers(sibling.context, delta));
    if (covering.length > 0) {
      const isNew = delta.seq > (taken?.get(delta.replica) ?? delta.seq);
      if (isNew && covering.every(({ replica }) => replica !== delta.replica)) return 'unseen';
      if (seen || held[i] !== undefined || met.has(name)) return 'known';
      met.add(name);
      newDots.push(delta);
      if (covering.every(({ trieKey }) => options.retain(parseTrieKey(trieKey)))) retained.push(delta);
      return 'superseded';
    }
    const floor = under[i];
    if (floor !== undefined) {
      newDots.push(delta);
      if (isKeptInTrash(delta, options)) trashed.push({ delta, why: 'late', by: floor.by });
      return 'trashed';
    }
    // A row of the dot that names no other id names this delta: it was held, and the disk has lost it [AE3].
    if (options.from === 'author' && seen && !dots.has(dotName)) return 'reused';
    met.add(name);
    dotsOfBatch.set(dotName, name);
    const cover = coverOf(delta);
    const isAdditive = isEmptyContext(cover);
    for (const sibling of isAdditive ? [] : siblings.all) {
      if (!covers(cover, sibling)) continue;
      const siblingName = bytesToHex(sibling.trieKey);
      const passing = added.get(siblingName);
      if (options.retain(delta)) {
        if (passing === undefined) retainedKeys.add(siblingName);
        else retained.push(passing);
      }
      if (!added.delete(siblingName)) removed.set(siblingName, sibling.trieKey);
      siblings.all.delete(sibling);
    }
    const sibling = { replica: delta.replica, hlc: delta.hlc, trieKey, context: cover };
    siblings.all.add(sibling);
    if (!isAdditive) {
      siblings.contextual = siblings.contextual.filter((sibling) => !covers(cover, sibling));
      siblings.contextual.push(sibling);
      siblings.changed = true;
    }
    newDots.push(delta);
    // It was held before the batch, and what removed it meanwhile is gone itself: nothing has happened to it.
    if (removed.delete(name)) return 'known';
    added.set(name, delta);
    return forked ? 'forked' : 'added';
  });

  const trie = yield* updateTrie(tx, room.hash, {
    adds: [...added.keys()].sort().map(hexToBytes),
    removes: [...removed.keys()].sort().map(hexToBytes),
  });
  const removedDeltas = yield* removeDeltas(tx, room, [...removed.values()], retainedKeys, options.nowMs);
  for (const delta of retained) retain(tx, delta, options.nowMs);
  for (const delta of added.values()) putDelta(tx, delta);
  yield* forgetFetched(tx, deltas);
  yield* changeDots(tx, removedDeltas, [...added.values()]);
  for (const [keyId, siblings] of siblingsByKey) if (siblings.changed) writeContexts(tx, keyId, siblings.contextual);
  if (yield* advanceVector(tx, newDots)) yield* settleVector(tx, (lost) => isFound(tx, room, lost));
  yield* putInTrash(tx, trashed, options.nowMs);
  if (hasFloors) yield* noteArrived(tx, newDots);
  for (const delta of removedDeltas) if (hasFlag(delta, FLAG.floor)) yield* forgetFloor(tx, room, delta.id);
  const swept: Delta[] = [];
  for (const delta of added.values()) swept.push(...(yield* sweepUnder(tx, room, delta, options)));
  return { outcomes, removed: removedDeltas, swept, ...(swept.length === 0 ? trie : yield* readRoot(tx)) };
}

/** [FH1] In a room of full history: whatever is new stays, and what others have seen of it changes how its key reads, and nothing else. */
function* acceptForGood(
  tx: Transaction,
  room: RoomRef,
  deltas: readonly Delta[],
  options: AcceptOptions,
): Steps<Acceptance> {
  const trieKeys = deltas.map(trieKeyOf);
  const held = yield* tx.getMany('deltas', trieKeys);
  const dots = yield* readDots(tx, deltas);
  const seqs = yield* readSeqs(
    tx,
    deltas.map(({ replica }) => replica),
  );
  const added = new Map<string, Delta>();
  const dotsOfBatch = new Map<string, string>();
  const outcomes = deltas.map((delta, i): Outcome => {
    const name = bytesToHex(trieKeys[i] as Uint8Array);
    if (added.has(name) || held[i] !== undefined) return 'known';
    const dotName = bytesToHex(dotKey(delta));
    const forked = isForked(name, dots.get(dotName), dotsOfBatch.get(dotName));
    const isSpent = !dots.has(dotName) && (seqs.get(delta.replica) ?? 0) >= delta.seq;
    if (options.from === 'author' && (forked || isSpent)) return 'reused';
    dotsOfBatch.set(dotName, name);
    added.set(name, delta);
    return forked ? 'forked' : 'added';
  });
  const fresh = [...added.values()];
  const trie = yield* updateTrie(tx, room.hash, { adds: [...added.keys()].sort().map(hexToBytes), removes: [] });
  for (const delta of fresh) putDelta(tx, delta);
  yield* forgetFetched(tx, deltas);
  yield* changeDots(tx, [], fresh);
  if (yield* advanceVector(tx, fresh)) yield* settleVector(tx, (lost) => isFound(tx, room, lost));
  yield* notePast(tx, fresh, (delta) => !options.retain(delta));
  return { outcomes, removed: [], swept: [], ...trie };
}

/** Whether something else has the dot already: of what is held, or of the batch. */
function isForked(name: string, held: ReadonlySet<string> = new Set(), ofBatch: string | undefined): boolean {
  return held.size > (held.has(name) ? 1 : 0) || (ofBatch !== undefined && ofBatch !== name);
}

function putDelta(tx: Transaction, delta: Delta): void {
  tx.put('deltas', trieKeyOf(delta), delta.bytes);
  if (hasFlag(delta, FLAG.tombstone)) tx.put('tombstones', trieKeyOf(delta), new Uint8Array());
}

/** Whatever became of it: it was fetched, and is not to be fetched again. */
function forgetFetched(tx: Transaction, deltas: readonly Delta[]): Steps<void> {
  return forgetIncoming(tx, deltas.filter(({ body }) => body.length > PART_BYTES).map(trieKeyOf));
}

/** Up to which number these authors were heard of before this batch; only of those of whom something may be covered. */
function* readTakenOf(
  tx: Transaction,
  deltas: readonly Delta[],
  siblingsByKey: ReadonlyMap<KeyId, Siblings>,
): Steps<ReadonlyMap<ReplicaId, number>> {
  const contextsByKey = new Map<KeyId, Pick<Delta, 'context'>[]>();
  for (const [keyId, { contextual }] of siblingsByKey) contextsByKey.set(keyId, [...contextual]);
  for (const delta of deltas) if (!isEmptyContext(delta.context)) contextsByKey.get(delta.keyId)?.push(delta);
  const isCovered = (delta: Delta): boolean =>
    contextsByKey.get(delta.keyId)?.some(({ context }) => covers(context, delta)) === true;
  const taken = new Map<ReplicaId, number>();
  for (const { replica } of deltas.filter(isCovered))
    if (!taken.has(replica)) taken.set(replica, (yield* readLastTaken(tx, replica)).lastSeq);
  return taken;
}

/** What lies under a floor that has come leaves the set [FL5]. */
function* sweepUnder(tx: Transaction, room: RoomRef, delta: Delta, options: AcceptOptions): Steps<readonly Delta[]> {
  const floor = floorOf(delta);
  if (floor === undefined) return [];
  const trieKeys = yield* keepFloor(tx, room, delta, floor);
  const swept = yield* removeFromSet(tx, room, trieKeys);
  for (const { id } of swept) {
    tx.delete('quarantine', idToBytes(id));
    tx.delete('vouched', idToBytes(id));
  }
  yield* putInTrash(
    tx,
    swept.filter((one) => isKeptInTrash(one, options)).map((one) => ({ delta: one, why: 'swept', by: delta.replica })),
    options.nowMs,
  );
  return swept;
}

/** There is nothing in a tombstone. */
const isKeptInTrash = (delta: Delta, { trash }: AcceptOptions): boolean =>
  trash === 'all' || !hasFlag(delta, FLAG.tombstone);

/** Takes deltas out of the set for nothing that supersedes them: rows, contexts, dots and nodes. */
function* removeFromSet(tx: Transaction, room: RoomRef, trieKeys: readonly Uint8Array[]): Steps<readonly Delta[]> {
  if (trieKeys.length === 0) return [];
  yield* updateTrie(tx, room.hash, { adds: [], removes: trieKeys });
  const removed = yield* removeDeltas(tx, room, trieKeys, new Set(), 0);
  yield* changeDots(tx, removed, []);
  const gone = new Set(trieKeys.map(bytesToHex));
  for (const [keyId, { contextual }] of yield* loadSiblings(tx, removed, false)) {
    const left = contextual.filter(({ trieKey }) => !gone.has(bytesToHex(trieKey)));
    if (left.length < contextual.length) writeContexts(tx, keyId, left);
  }
  return removed;
}

/** Runs without a floor, and floors alone. */
function* runsBetweenFloors(deltas: readonly Delta[]): Generator<readonly Delta[]> {
  let from = 0;
  for (const [i, delta] of deltas.entries()) {
    if (!hasFlag(delta, FLAG.floor)) continue;
    if (i > from) yield deltas.slice(from, i);
    yield [delta];
    from = i + 1;
  }
  if (from < deltas.length) yield from === 0 ? deltas : deltas.slice(from);
}

function joinAcceptances(a: Acceptance, b: Acceptance): Acceptance {
  return {
    ...b,
    outcomes: [...a.outcomes, ...b.outcomes],
    removed: [...a.removed, ...b.removed],
    swept: [...a.swept, ...b.swept],
  };
}

/** Takes one delta out of the set again: a forged one, or an own one that was refused. */
export function* removeDelta(tx: Transaction, room: RoomRef, delta: Delta): Steps<{ root: Uint8Array; count: number }> {
  yield* removeFromSet(tx, room, [trieKeyOf(delta)]);
  if (room.history === 'full') yield* forgetOfPast(tx, room, delta);
  if ((yield* tx.get('dots', dotKey(delta))) === undefined) yield* retractVector(tx, delta);
  if (hasFlag(delta, FLAG.floor)) yield* forgetFloor(tx, room, delta.id);
  // What it had superseded or swept is neither held nor covered now.
  const { stamps, dots } = coverOf(delta);
  const reached = floorOf(delta)?.reach.keys() ?? [];
  yield* restartVector(tx, new Set([...stamps.keys(), ...dots.map(({ replica }) => replica), ...reached]));
  return yield* readRoot(tx);
}

/** Whether a held delta covers one of these already. */
export function* isAnyCovered(
  tx: Transaction,
  deltas: readonly Pick<Delta, 'keyId' | 'replica' | 'hlc'>[],
): Steps<boolean> {
  const rows = yield* tx.getMany(
    'contexts',
    deltas.map((delta) => idToBytes(delta.keyId)),
  );
  return deltas.some((delta, i) => {
    const row = rows[i];
    return (
      row !== undefined && readContexts(idToBytes(delta.keyId), row).some((sibling) => covers(sibling.context, delta))
    );
  });
}

/** Whether nothing is missing where this delta was: it is held, covered, or under a floor. */
export function* isFound(tx: Transaction, room: RoomRef, trieKey: Uint8Array): Steps<boolean> {
  if ((yield* areListed(tx, 'deltas', [trieKey])).includes(true)) return true;
  return yield* isGone(tx, room, trieKey);
}

/** Whether this delta is no part of the set any more, held or not. */
export function* isGone(tx: Transaction, room: RoomRef, trieKey: Uint8Array): Steps<boolean> {
  const place = parseTrieKey(trieKey);
  if (yield* isAnyCovered(tx, [place])) return true;
  const isFloor = place.keyId === deriveFloorKeyId(room.hash, room.roomId);
  return (yield* readUnder(tx, room, [{ ...place, flags: isFloor ? FLAG.floor : 0 }]))[0] !== undefined;
}
