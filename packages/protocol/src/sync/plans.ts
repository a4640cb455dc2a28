import { compareBytes, concatBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { bytesToReplicaId, idToBytes } from '../ids.js';
import { answerDiff, openDiff } from '../merkle/diff.js';
import { together } from '../merkle/node-table.js';
import { readRoot } from '../merkle/trie.js';
import { type RoomRef, splitTrieKeys } from '../room/accept.js';
import { fetchWhileSmall } from '../room/fetch.js';
import { readReach } from '../room/vector.js';
import type { Plan, Steps, Transaction } from '../store/plan.js';
import type { VersionVector } from '../version-vector.js';
import type { DeltaBytes } from '../wire/messages.js';
import type { ReadEffect } from './effect.js';
import type { BeyondCursor, RelayEvent, ReplicaEvent } from './event.js';

const DOTS_PAGE = 512;
/** Replicas whose dots are looked for in one step. */
const REPLICAS_STEP = 64;
/** Dots whose deltas are read in one step, and the bytes after which a page ends: bodies may be large. */
const DOTS_STEP = 16;
const BEYOND_BYTES = 1024 * 1024;
/** What one answer to a diff sends; the rest is left to the next pass, as the roots still differ. */
const DIFF_BYTES = 8 * 1024 * 1024;

/** The plan that answers a read, for either end. */
export function planFor(
  room: RoomRef,
  effect: ReadEffect,
): Plan<ReplicaEvent & RelayEvent & { kind: 'beyond-read' | 'diff-answered' }> {
  switch (effect.kind) {
    case 'read-beyond':
      return (tx) => readBeyond(tx, effect.cursor);
    case 'answer-diff':
      return function* (tx) {
        const { entries, send } = yield* answerDiff(tx, room.hash, effect.message);
        const { root } = yield* readRoot(tx);
        const deltas = yield* fetchWhileSmall(tx, send, DIFF_BYTES);
        return {
          kind: 'diff-answered',
          salt: effect.message.salt,
          root,
          entries,
          deltas: deltas.filter((delta) => delta !== undefined),
        };
      };
  }
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
  cursor: BeyondCursor,
): Steps<ReplicaEvent & RelayEvent & { kind: 'beyond-read' }> {
  const missing = yield* dotsBeyond(tx, cursor);
  const deltas: DeltaBytes[] = [];
  let bytes = 0;
  let read = 0;
  while (read < missing.length && bytes < BEYOND_BYTES) {
    const dots = yield* tx.getMany('dots', missing.slice(read, read + DOTS_STEP));
    read += dots.length;
    const trieKeys = dots.flatMap((dot) => (dot === undefined ? [] : splitTrieKeys(dot)));
    for (const delta of yield* tx.getMany('deltas', trieKeys)) {
      if (delta !== undefined) deltas.push(delta);
      bytes += delta?.length ?? 0;
    }
  }
  const isEnd = read === missing.length && missing.length < DOTS_PAGE;
  const { vector: pulled } = cursor;
  if (!isEnd) {
    const after = successor(missing[read - 1] as Uint8Array);
    return { kind: 'beyond-read', deltas, next: { ...cursor, after }, pulled, vector: new Map() };
  }
  return { kind: 'beyond-read', deltas, next: undefined, pulled, vector: yield* shortOf(tx, pulled) };
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

/** The least key above `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
