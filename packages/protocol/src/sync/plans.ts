import { compareBytes, concatBytes, equalBytes, prefixEnd, successor, u64ToBytes } from '../bytes.js';
import { bytesToReplicaId, idToBytes } from '../ids.js';
import { answerDiff, answerDiffPart, type DiffAnswer, type DiffPlace, openDiff } from '../merkle/diff.js';
import { readRoot } from '../merkle/trie.js';
import type { RoomRef } from '../room/accept.js';
import { splitTrieKeys } from '../room/set-rows.js';
import { TRIE_KEY_BYTES, viewBody } from '../delta.js';
import { countParts, partOf } from '../parts.js';
import { fetchEntries, nextStep, READ_BYTES } from '../room/fetch.js';
import { readLogEnd } from '../room/log.js';
import { readReach, readVectorRows } from '../room/vector.js';
import { toEntry } from '../stub.js';
import { type Plan, type Steps, type Transaction, together } from '../store/plan.js';
import type { VersionVector } from '../version-vector.js';
import type { DeltaBytes, Part, Wanted } from '../wire/messages.js';
import type { ReadEffect } from './effect.js';
import type { BeyondCursor, RelayEvent, ReplicaEvent } from './event.js';

type AnswerDiff = ReadEffect & { kind: 'answer-diff' };
type DiffAnswered = ReplicaEvent & RelayEvent & { kind: 'diff-answered' };

const DOTS_PAGE = 512;
/** Replicas whose dots are looked for in one step. */
const REPLICAS_STEP = 64;
/** Of one dot. Who has any of its deltas reaches it, so that the others are left to the Merkle diff anyway [SY3]. */
const FORKS_MAX = 16;
/** The bytes after which a page ends. */
const BEYOND_BYTES = 128 * 1024;

/** The plan that answers a read, for either end. */
export function planFor(
  room: RoomRef,
  effect: ReadEffect,
): Plan<ReplicaEvent & RelayEvent & { kind: 'beyond-read' | 'diff-answered' | 'parts-read' }> {
  switch (effect.kind) {
    case 'read-beyond':
      return (tx) => readBeyond(tx, room, effect.cursor);
    case 'answer-diff':
      return function* (tx) {
        return yield* finishDiff(tx, room, effect, yield* answerDiff(tx, room.hash, effect.message));
      };
    case 'read-parts':
      return (tx) => readParts(tx, room, effect.wanted);
  }
}

/** A part of the plan that answers a diff, for who has others to serve as well: where it goes on, or the answer. */
export function planDiffPart(
  room: RoomRef,
  effect: AnswerDiff,
  place: DiffPlace | undefined,
): Plan<{ readonly next: DiffPlace } | DiffAnswered> {
  return function* (tx) {
    const part = yield* answerDiffPart(tx, room.hash, effect.message, place);
    return 'next' in part ? part : yield* finishDiff(tx, room, effect, part);
  };
}

function* finishDiff(
  tx: Transaction,
  room: RoomRef,
  { message, bytesMax }: AnswerDiff,
  { entries, send }: DiffAnswer,
): Steps<DiffAnswered> {
  const { root } = yield* readRoot(tx);
  // What does not fit is left to the next pass, as the roots still differ.
  const { entries: deltas } = yield* fetchEntries(tx, room, send, bytesMax);
  return { kind: 'diff-answered', salt: message.salt, root, entries, deltas };
}

/** The first message of a Merkle diff. `salt`: 8 bytes, fresh and random. */
export function planOpenDiff(room: RoomRef, salt: Uint8Array): Plan<ReplicaEvent & { kind: 'diff-opened' }> {
  return function* (tx) {
    const entries = yield* openDiff(tx, room.hash, salt);
    const { root } = yield* readRoot(tx);
    return { kind: 'diff-opened', salt, root, entries };
  };
}

/** [SY3] A page of the deltas that a vector does not reach, in the order of their dots. */
function* readBeyond(
  tx: Transaction,
  room: RoomRef,
  cursor: BeyondCursor,
): Steps<ReplicaEvent & RelayEvent & { kind: 'beyond-read' }> {
  const missing = yield* dotsBeyond(tx, cursor);
  const deltas: DeltaBytes[] = [];
  let sent = 0;
  let weight = 0;
  let read = 0;
  // Few at first: how large deltas are is known only when they are there.
  for (let step = 1; read < missing.length && sent < BEYOND_BYTES && weight < READ_BYTES; step = nextStep(step)) {
    const dots = yield* tx.getMany('dots', missing.slice(read, read + step));
    read += dots.length;
    const trieKeys = dots.flatMap((dot) => (dot === undefined ? [] : firstOf(dot)));
    for (const delta of yield* tx.getMany('deltas', trieKeys)) {
      if (delta === undefined) continue;
      const entry = toEntry(room.hash, room.roomId, delta);
      deltas.push(entry);
      sent += entry.length;
      weight += delta.length;
    }
  }
  const isEnd = read === missing.length && missing.length < DOTS_PAGE;
  const { vector: pulled } = cursor;
  const ahead = yield* readBeyondAhead(tx, cursor);
  if (!isEnd) {
    const after = successor(missing[read - 1] as Uint8Array);
    return { kind: 'beyond-read', deltas, next: { ...cursor, after }, pulled, vector: new Map(), ahead };
  }
  return { kind: 'beyond-read', deltas, next: undefined, pulled, vector: yield* shortOf(tx, pulled), ahead };
}

const firstOf = (dot: Uint8Array): readonly Uint8Array[] => splitTrieKeys(dot.subarray(0, FORKS_MAX * TRIE_KEY_BYTES));

/** On the first page, for who knows nothing of what is coming. */
function* readBeyondAhead(
  tx: Transaction,
  { vector, of, after }: BeyondCursor,
): Steps<{ readonly deltas: number; readonly bytes: number } | undefined> {
  if (of === 'named' || after.length > 0) return undefined;
  return countBeyond(vector, yield* readVectorRows(tx), yield* readLogEnd(tx));
}

/** The first page of dots beyond; full where there may be more. Reads the runs beyond the vector and passes over all else. */
function* dotsBeyond(tx: Transaction, { vector, of, after }: BeyondCursor): Steps<readonly Uint8Array[]> {
  const known =
    of === 'named' ? [...vector.keys()].sort().map(idToBytes) : yield* tx.keys('vector', { from: new Uint8Array() });
  const replicas = known.filter((replica) => compareBytes(replica, after.subarray(0, replica.length)) >= 0);
  const dots: Uint8Array[] = [];
  for (let at = 0; at < replicas.length && dots.length < DOTS_PAGE; at += REPLICAS_STEP) {
    const runs = replicas.slice(at, at + REPLICAS_STEP).map((replica) => {
      const first = concatBytes(replica, u64ToBytes((vector.get(bytesToReplicaId(replica)) ?? 0) + 1));
      const from = compareBytes(first, after) < 0 ? after : first;
      return tx.keys('dots', { from, to: prefixEnd(replica), limit: DOTS_PAGE });
    });
    dots.push(...(yield* together(runs)).flat());
  }
  return dots.slice(0, DOTS_PAGE);
}

/** How far the own store reaches where that is less than in `vector`; 0 for a replica that it does not know. */
function* shortOf(tx: Transaction, vector: VersionVector): Steps<VersionVector> {
  const reach = yield* readReach(tx, new Set(vector.keys()));
  const entries = [...vector].flatMap(([replica, seq]) => {
    const own = reach.get(replica) ?? 0;
    return own < seq ? [[replica, own] as const] : [];
  });
  return new Map(entries);
}

/** About what a vector does not reach: deltas by their numbers, bytes by the size that deltas of the log have on average. */
function countBeyond(
  theirs: VersionVector,
  ours: VersionVector,
  log: { readonly offset: number; readonly bytes: number },
): { readonly deltas: number; readonly bytes: number } {
  let deltas = 0;
  for (const [replica, seq] of ours) deltas += Math.max(0, seq - (theirs.get(replica) ?? 0));
  return { deltas, bytes: log.offset === 0 ? 0 : Math.round((deltas * log.bytes) / log.offset) };
}

/** The parts that are asked for; one without bytes for a delta that is not held, or has no such part. */
export function* readParts(
  tx: Transaction,
  { roomId }: RoomRef,
  wanted: readonly Wanted[],
  last?: LastRead,
): Steps<ReplicaEvent & RelayEvent & { kind: 'parts-read' }> {
  const parts: Part[] = [];
  for (const { trieKey, from, count } of wanted) {
    const row = yield* readHeld(tx, trieKey, last);
    const body = row && viewBody(roomId, row);
    for (let index = from; index < from + count; index++) {
      // Copied: a view would keep all of the delta until the part is sent.
      const bytes = body === undefined ? new Uint8Array() : partOf(body, index).slice();
      parts.push({ kind: 'part', trieKey, index, bytes });
      if (bytes.length === 0) break;
    }
    const isRead = body === undefined || from + count >= countParts(body.length);
    if (last !== undefined) last.row = isRead ? undefined : row && { trieKey, row };
  }
  return { kind: 'parts-read', parts };
}

/** The delta whose parts were asked for last, until all of them were: a large one is read once, and not again for each run of its parts. */
export interface LastRead {
  row?: { readonly trieKey: Uint8Array; readonly row: Uint8Array } | undefined;
}

function* readHeld(tx: Transaction, trieKey: Uint8Array, last?: LastRead): Steps<Uint8Array | undefined> {
  const known = last?.row;
  if (known === undefined || !equalBytes(known.trieKey, trieKey)) return yield* tx.get('deltas', trieKey);
  // It may have left the set.
  const [key] = yield* tx.keys('deltas', { from: trieKey, limit: 1 });
  return key !== undefined && equalBytes(key, trieKey) ? known.row : undefined;
}
