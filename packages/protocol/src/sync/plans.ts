import { bytesToU64 } from '../bytes.js';
import { bytesToReplicaId } from '../ids.js';
import { answerDiff, openDiff } from '../merkle/diff.js';
import { readRoot } from '../merkle/trie.js';
import { type RoomRef, splitTrieKeys } from '../room/accept.js';
import { fetchWhileSmall } from '../room/fetch.js';
import { readVectorRows } from '../room/vector.js';
import type { Plan, Steps, Transaction } from '../store/plan.js';
import type { DeltaBytes } from '../wire/messages.js';
import type { ReadEffect } from './effect.js';
import type { BeyondCursor, RelayEvent, ReplicaEvent } from './event.js';

const DOTS_PAGE = 512;
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
  const vector = yield* readVectorRows(tx);
  const keys = yield* tx.keys('dots', { from: cursor.after, limit: DOTS_PAGE });
  const missing = keys.filter(
    (key) => (cursor.vector.get(bytesToReplicaId(key.subarray(0, 8))) ?? 0) < bytesToU64(key, 8),
  );
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
  const isWhole = read === missing.length;
  const last = isWhole ? keys.at(-1) : missing[read - 1];
  const isEnd = last === undefined || (isWhole && keys.length < DOTS_PAGE);
  return {
    kind: 'beyond-read',
    deltas,
    next: isEnd ? undefined : { vector: cursor.vector, after: successor(last) },
    vector,
  };
}

/** The least key above `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
