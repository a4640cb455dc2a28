import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToHex, compareBytes, concatBytes, equalBytes, hexToBytes, prefixEnd, u64ToBytes } from '../bytes.js';
import { decodeRow, encode, readFixed } from '../codec.js';
import { type Context, covers, isEmptyContext, type Stamped } from '../context.js';
import {
  bytesToDelta,
  type Delta,
  parseTrieKey,
  readContext,
  TRIE_KEY_BYTES,
  trieKeyOf,
  writeContext,
} from '../delta.js';
import { MangroveError } from '../errors.js';
import { idToBytes, type KeyId } from '../ids.js';
import { updateTrie } from '../merkle/trie.js';
import { PART_BYTES } from '../parts.js';
import type { Steps, Transaction } from '../store/plan.js';
import { forgetIncoming } from './incoming.js';
import type { RoomRef } from './room-ref.js';
import { advanceVector, readSeqs, restartVector, retractVector } from './vector.js';

export type { RoomRef };

/**
 * What became of a delta:
 * `added` to the set · `superseded` on arrival, new to us · `known` already, nothing changed · `forked`: added beside another id
 * on its dot · `reused`: refused, its author has used the dot before [CX7].
 */
export type Outcome = 'added' | 'superseded' | 'known' | 'forked' | 'reused';

export interface AcceptOptions {
  readonly nowMs: number;
  /** `author`: pushed by the replica that signed it, who must not reuse a dot. `others`: from anybody, both ids of a fork are kept. */
  readonly from: 'author' | 'others';
  /**
   * Superseded bytes go to `retained`, also those of what is superseded on arrival: always at a relay; at a replica when the
   * superseding body cannot be used [CX8], and of what an own checkpoint covers until a relay has it [CP8].
   */
  readonly retain: (superseding: Pick<Delta, 'id'>) => boolean;
}

export interface Acceptance {
  /** One for each delta, in order. */
  readonly outcomes: readonly Outcome[];
  /** Deltas that left the set. */
  readonly removed: readonly Delta[];
  readonly root: Uint8Array;
  readonly count: number;
}

/**
 * Takes validly signed deltas into the set: siblings, contexts, dots, vector and Merkle nodes in one plan [CX2, CX3, CX6].
 *
 * The result depends on the set alone: a delta that a held one covers is dropped, one that covers held ones replaces them, and
 * nothing else is remembered. Cost: one read per delta and key, a key range for deltas with a context, the Merkle paths.
 */
export function* acceptDeltas(
  tx: Transaction,
  room: RoomRef,
  deltas: readonly Delta[],
  options: AcceptOptions,
): Steps<Acceptance> {
  const trieKeys = deltas.map(trieKeyOf);
  const held = yield* tx.getMany('deltas', trieKeys);
  const dots = yield* tx.getMany('dots', deltas.map(dotKey));
  const seqs = yield* readSeqs(
    tx,
    deltas.map((delta) => delta.replica),
  );
  const siblingsByKey = yield* loadSiblings(tx, deltas);

  const added = new Map<string, Delta>();
  const removed = new Map<string, Uint8Array>();
  const retainedKeys = new Set<string>();
  const retained: Delta[] = [];
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
    const idsOfDot = [...splitTrieKeys(dots[i] ?? new Uint8Array()).map(bytesToHex), dotsOfBatch.get(dotName) ?? name];
    const forked = idsOfDot.some((other) => other !== name);
    // Looked at before what is covered: that a dot was used twice is news even where the second delta is superseded.
    if (options.from === 'author' && forked) return 'reused';
    const covering = siblings.contextual.filter((sibling) => covers(sibling.context, delta));
    if (covering.length > 0) {
      if (seen || held[i] !== undefined || met.has(name)) return 'known';
      met.add(name);
      newDots.push(delta);
      if (covering.every(({ trieKey }) => options.retain(parseTrieKey(trieKey)))) retained.push(delta);
      return 'superseded';
    }
    // A row of the dot that names no other id names this delta: it was held, and the disk has lost it [AE3].
    if (options.from === 'author' && seen && dots[i] === undefined) return 'reused';
    met.add(name);
    dotsOfBatch.set(dotName, name);
    for (const sibling of siblings.all) {
      if (!covers(delta.context, sibling)) continue;
      const siblingName = bytesToHex(sibling.trieKey);
      const passing = added.get(siblingName);
      if (options.retain(delta)) {
        if (passing === undefined) retainedKeys.add(siblingName);
        else retained.push(passing);
      }
      if (!added.delete(siblingName)) removed.set(siblingName, sibling.trieKey);
      siblings.all.delete(sibling);
    }
    siblings.contextual = siblings.contextual.filter((sibling) => !covers(delta.context, sibling));
    const sibling = { replica: delta.replica, hlc: delta.hlc, trieKey, context: delta.context };
    siblings.all.add(sibling);
    if (!isEmptyContext(delta.context)) siblings.contextual.push(sibling);
    siblings.changed = true;
    newDots.push(delta);
    // It was held before the batch, and what removed it meanwhile is gone itself: nothing has happened to it.
    if (removed.delete(name)) return 'known';
    added.set(name, delta);
    return forked ? 'forked' : 'added';
  });

  const { root, count } = yield* updateTrie(tx, room.hash, {
    adds: [...added.keys()].sort().map(hexToBytes),
    removes: [...removed.keys()].sort().map(hexToBytes),
  });
  const removedDeltas = yield* removeDeltas(tx, room, [...removed.values()], retainedKeys, options.nowMs);
  for (const delta of retained) retain(tx, delta, options.nowMs);
  for (const delta of added.values()) tx.put('deltas', trieKeyOf(delta), delta.bytes);
  // Whatever became of it: it was fetched, and is not to be fetched again.
  yield* forgetIncoming(
    tx,
    trieKeys.filter((_, i) => (deltas[i] as Delta).body.length > PART_BYTES),
  );
  yield* changeDots(tx, removedDeltas, [...added.values()]);
  for (const [keyId, siblings] of siblingsByKey) if (siblings.changed) writeContexts(tx, keyId, siblings.contextual);
  yield* advanceVector(tx, newDots);
  return { outcomes, removed: removedDeltas, root, count };
}

/** Takes one delta out of the set again: a forged one, or an own one that was refused. */
export function* removeDelta(tx: Transaction, room: RoomRef, delta: Delta): Steps<{ root: Uint8Array; count: number }> {
  const trieKey = trieKeyOf(delta);
  const siblings = (yield* loadSiblings(tx, [delta])).get(delta.keyId) as Siblings;
  const result = yield* updateTrie(tx, room.hash, { adds: [], removes: [trieKey] });
  yield* changeDots(tx, yield* removeDeltas(tx, room, [trieKey], new Set(), 0), []);
  writeContexts(
    tx,
    delta.keyId,
    siblings.contextual.filter((sibling) => !equalBytes(sibling.trieKey, trieKey)),
  );
  if ((yield* tx.get('dots', dotKey(delta))) === undefined) yield* retractVector(tx, delta);
  // What it had superseded is neither held nor covered now.
  const { stamps, dots } = delta.context;
  yield* restartVector(tx, new Set([...stamps.keys(), ...dots.map(({ replica }) => replica)]));
  return result;
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
    return row !== undefined && readContexts(row).some((sibling) => covers(sibling.context, delta));
  });
}

/** `replica 8 • u64 seq`. */
export function dotKey(dot: Pick<Delta, 'replica' | 'seq'>): Uint8Array {
  return concatBytes(idToBytes(dot.replica), u64ToBytes(dot.seq));
}

/** The trie keys under one dot: one, or several where a replica has forked. */
export function splitTrieKeys(value: Uint8Array): readonly Uint8Array[] {
  if (value.length % TRIE_KEY_BYTES !== 0)
    throw new MangroveError('INTERNAL', { reason: 'a row of dots on disk cannot be read' });
  return Array.from({ length: value.length / TRIE_KEY_BYTES }, (_, i) =>
    value.slice(i * TRIE_KEY_BYTES, (i + 1) * TRIE_KEY_BYTES),
  );
}

export interface Sibling extends Stamped {
  readonly trieKey: Uint8Array;
}

export interface ContextualSibling extends Sibling {
  readonly context: Context;
}

/** `all` is filled only where a delta of the batch has a context; otherwise nothing can be superseded by it. */
interface Siblings {
  readonly all: Set<Sibling>;
  contextual: ContextualSibling[];
  changed: boolean;
}

function* loadSiblings(tx: Transaction, deltas: readonly Delta[]): Steps<Map<KeyId, Siblings>> {
  const keyIds = [...new Set(deltas.map((delta) => delta.keyId))];
  const rows = yield* tx.getMany('contexts', keyIds.map(idToBytes));
  const siblingsByKey = new Map<KeyId, Siblings>();
  for (const [i, keyId] of keyIds.entries()) {
    const row = rows[i];
    siblingsByKey.set(keyId, {
      all: new Set(),
      contextual: row === undefined ? [] : readContexts(row),
      changed: false,
    });
  }
  const superseding = new Set(deltas.filter((delta) => !isEmptyContext(delta.context)).map((delta) => delta.keyId));
  for (const keyId of superseding) {
    const { all } = siblingsByKey.get(keyId) as Siblings;
    const prefix = idToBytes(keyId);
    for (const trieKey of yield* tx.keys('deltas', { from: prefix, to: prefixEnd(prefix) }))
      all.add({ ...parseTrieKey(trieKey), trieKey });
  }
  return siblingsByKey;
}

function* removeDeltas(
  tx: Transaction,
  room: RoomRef,
  trieKeys: readonly Uint8Array[],
  retained: ReadonlySet<string>,
  nowMs: number,
): Steps<readonly Delta[]> {
  const rows = yield* tx.getMany('deltas', trieKeys);
  const deltas = rows.flatMap((row) => (row === undefined ? [] : [bytesToDelta(room.hash, room.roomId, row)]));
  for (const delta of deltas) {
    const trieKey = trieKeyOf(delta);
    tx.delete('deltas', trieKey);
    if (retained.has(bytesToHex(trieKey))) retain(tx, delta, nowMs);
  }
  return deltas;
}

function retain(tx: Transaction, delta: Delta, nowMs: number): void {
  tx.put('retained', concatBytes(u64ToBytes(nowMs), trieKeyOf(delta)), delta.bytes);
}

/** The rows of `dots` once some deltas have left and others have come: several of a batch may share one, where a replica forked. */
function* changeDots(tx: Transaction, removed: readonly Delta[], added: readonly Delta[]): Steps<void> {
  const keys = new Map([...removed, ...added].map((delta) => [bytesToHex(dotKey(delta)), dotKey(delta)]));
  const rows = yield* tx.getMany('dots', [...keys.values()]);
  const trieKeysByDot = new Map(
    [...keys.keys()].map((dot, i) => [dot, new Set(splitTrieKeys(rows[i] ?? new Uint8Array()).map(bytesToHex))]),
  );
  for (const delta of removed) trieKeysByDot.get(bytesToHex(dotKey(delta)))?.delete(bytesToHex(trieKeyOf(delta)));
  for (const delta of added) trieKeysByDot.get(bytesToHex(dotKey(delta)))?.add(bytesToHex(trieKeyOf(delta)));
  for (const [dot, trieKeys] of trieKeysByDot) {
    if (trieKeys.size === 0) tx.delete('dots', hexToBytes(dot));
    else tx.put('dots', hexToBytes(dot), hexToBytes([...trieKeys].sort().join('')));
  }
}

function writeContexts(tx: Transaction, keyId: KeyId, contextual: readonly ContextualSibling[]): void {
  if (contextual.length === 0) tx.delete('contexts', idToBytes(keyId));
  else tx.put('contexts', idToBytes(keyId), contextsToRow(contextual));
}

/** `contexts` row := (trieKey 64 • context relative to the trie key's hlc)* */
export function contextsToRow(contextual: readonly ContextualSibling[]): Uint8Array {
  // In the order of the trie, so that the row says nothing of the order in which they came [CX6].
  const inOrder = contextual.toSorted((a, b) => compareBytes(a.trieKey, b.trieKey));
  return encode((encoder) => {
    for (const sibling of inOrder) {
      encoding.writeUint8Array(encoder, sibling.trieKey);
      writeContext(encoder, sibling.context, sibling.hlc);
    }
  });
}

export function readContexts(row: Uint8Array): ContextualSibling[] {
  return decodeRow('contexts', row, (decoder) => {
    const contextual: ContextualSibling[] = [];
    while (decoding.hasContent(decoder)) {
      const trieKey = readFixed(decoder, TRIE_KEY_BYTES);
      const { replica, hlc } = parseTrieKey(trieKey);
      contextual.push({ replica, hlc, trieKey, context: readContext(decoder, hlc) });
    }
    return contextual;
  });
}
