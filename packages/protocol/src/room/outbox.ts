import { bytesToU64, u64ToBytes } from '../bytes.js';
import { decodeRow, readFixed, readU64, readVarUint } from '../codec.js';
import { type Delta, parseTrieKey } from '../delta.js';
import { attempt } from '../errors.js';
import type { Hlc } from '../hlc.js';
import { bytesToKeyId, KEY_ID_BYTES, type KeyId, type ReplicaId, SHORT_ID_BYTES } from '../ids.js';
import type { Row, Steps, Transaction } from '../store/plan.js';
import { isStub, toEntry } from '../stub.js';
import type { StubCache } from '../stub-cache.js';
import type { RoomRef } from './room-ref.js';
import { readOwnReplica } from './meta.js';
import { dotKey, rowToDelta, splitTrieKeys } from './set-rows.js';

/** The deltas in the set with this dot: none, one, or several where a replica has forked. */
export function* readDot(tx: Transaction, room: RoomRef, dot: Pick<Delta, 'replica' | 'seq'>): Steps<readonly Delta[]> {
  const trieKeys = yield* tx.get('dots', dotKey(dot));
  const named = trieKeys === undefined ? [] : splitTrieKeys(trieKeys);
  const rows = yield* tx.getMany('deltas', named);
  return rows.flatMap((row, i) => (row === undefined ? [] : [rowToDelta(room, named[i] as Uint8Array, row)]));
}

/** Of these trie keys those of own deltas that no relay has acknowledged, which nobody else may have, and their seqs. */
export function* readUnsentAmong(
  tx: Transaction,
  trieKeys: readonly Uint8Array[],
): Steps<readonly { readonly trieKey: Uint8Array; readonly seq: number }[]> {
  const replica = trieKeys.length === 0 ? undefined : yield* readOwnReplica(tx);
  const own = trieKeys.filter((key) => parseTrieKey(key).replica === replica);
  if (own.length === 0) return [];
  const waiting = yield* tx.rows('outbox', { from: new Uint8Array() });
  const seqs = new Map(
    waiting.flatMap(([key, row]) => {
      const place = attempt(() => bytesToOutboxPlace(row));
      return place === undefined ? [] : [[`${place.keyId} ${place.hlc}`, bytesToU64(key)] as const];
    }),
  );
  return own.flatMap((trieKey) => {
    const { keyId, hlc } = parseTrieKey(trieKey);
    const seq = seqs.get(`${keyId} ${hlc}`);
    return seq === undefined ? [] : [{ trieKey, seq }];
  });
}

export interface OutboxPage {
  /** What its deltas are sent as. */
  readonly entries: readonly Uint8Array[];
  /** Where the next page begins; undefined when this was the last. */
  readonly nextSeq: number | undefined;
}

/**
 * A page of own deltas that no relay has acknowledged, ascending by `seq`, bounded in count and in bytes of bodies, though one goes whatever
 * it weighs; superseded ones are passed over. What `stubs` knows is not read.
 */
export function* readOutboxPage(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  fromSeq: number,
  max: { readonly deltas: number; readonly bytes: number },
  stubs: StubCache,
): Steps<OutboxPage> {
  const rows = yield* tx.rows('outbox', { from: u64ToBytes(fromSeq), limit: max.deltas });
  const seqs = rows.slice(0, countWithin(rows, max.bytes)).map(([key]) => bytesToU64(key));
  const dots = yield* tx.getMany(
    'dots',
    seqs.map((seq) => dotKey({ replica, seq })),
  );
  const trieKeys = dots.flatMap((dot) => (dot === undefined ? [] : splitTrieKeys(dot)));
  const known = trieKeys.map((trieKey) => stubs.get(trieKey));
  const unknown = trieKeys.filter((_, i) => known[i] === undefined);
  const read = (yield* tx.getMany('deltas', unknown)).values();
  const entries: Uint8Array[] = [];
  for (const [i, trieKey] of trieKeys.entries()) {
    let entry = known[i];
    if (entry === undefined) {
      const row = read.next().value;
      if (row === undefined) continue;
      // What is sent is what was sealed: a relay would refuse what a disk has made of it.
      entry = toEntry(room.hash, room.roomId, rowToDelta(room, trieKey, row).bytes);
    }
    if (isStub(entry)) stubs.keep(trieKey, entry);
    entries.push(entry);
  }
  const last = seqs.at(-1);
  const isEnd = last === undefined || (seqs.length === rows.length && rows.length < max.deltas);
  return { entries, nextSeq: isEnd ? undefined : last + 1 };
}

/** So many of the first ones stay within the bytes: one at least. */
function countWithin(rows: readonly Row[], bytesMax: number): number {
  let bytes = 0;
  for (const [i, [, row]] of rows.entries()) {
    bytes += readOutboxRow(row).bytes;
    if (bytes > bytesMax) return Math.max(1, i);
  }
  return rows.length;
}

/** Where an own delta stands among those of its key, also when it is superseded and its bytes are gone. */
export interface OutboxPlace {
  readonly keyId: KeyId;
  readonly hlc: Hlc;
  readonly prev: Hlc;
  /** The beginning of its id: a copy of this profile may have given the same dot and stamp. */
  readonly shortId: Uint8Array;
}

/** The place of the delta that a row of `outbox` is about. */
export function bytesToOutboxPlace(row: Uint8Array): OutboxPlace {
  const { keyId, hlc, prev, shortId } = readOutboxRow(row);
  return { keyId, hlc, prev, shortId };
}

/** `varUint writes • varUint bytes • varUint oldestAtMs • keyId 16 • u64 hlc • u64 prev • shortId 8` */
export function readOutboxRow(
  row: Uint8Array,
): OutboxPlace & { readonly writes: number; readonly bytes: number; readonly oldestAtMs: number } {
  return decodeRow('outbox', row, (decoder) => ({
    writes: readVarUint(decoder),
    bytes: readVarUint(decoder),
    oldestAtMs: readVarUint(decoder),
    keyId: bytesToKeyId(readFixed(decoder, KEY_ID_BYTES)),
    hlc: readU64(decoder) as Hlc,
    prev: readU64(decoder) as Hlc,
    shortId: readFixed(decoder, SHORT_ID_BYTES),
  }));
}
