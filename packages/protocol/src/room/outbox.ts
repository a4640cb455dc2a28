import { bytesToU64, u64ToBytes } from '../bytes.js';
import { decodeRow, readFixed, readU64, readVarUint } from '../codec.js';
import { bytesToDelta, type Delta } from '../delta.js';
import type { Hlc } from '../hlc.js';
import { bytesToKeyId, KEY_ID_BYTES, type KeyId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './accept.js';
import { dotKey, splitTrieKeys } from './set-rows.js';

/** The deltas in the set with this dot: none, one, or several where a replica has forked. */
export function* readDot(tx: Transaction, room: RoomRef, dot: Pick<Delta, 'replica' | 'seq'>): Steps<readonly Delta[]> {
  const trieKeys = yield* tx.get('dots', dotKey(dot));
  const rows = trieKeys === undefined ? [] : yield* tx.getMany('deltas', splitTrieKeys(trieKeys));
  return rows.flatMap((row) => (row === undefined ? [] : [bytesToDelta(room.hash, room.roomId, row)]));
}

export interface OutboxPage {
  readonly deltas: readonly Delta[];
  /** Where the next page begins; undefined when this was the last. */
  readonly nextSeq: number | undefined;
}

/** A page of own deltas that no relay has acknowledged, ascending by `seq`, bounded in count and bytes; superseded ones are passed over. */
export function* readOutboxPage(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  fromSeq: number,
  max: { readonly deltas: number; readonly bytes: number },
): Steps<OutboxPage> {
  const seqs = (yield* tx.keys('outbox', { from: u64ToBytes(fromSeq), limit: max.deltas })).map((key) =>
    bytesToU64(key),
  );
  const deltas: Delta[] = [];
  let bytes = 0;
  for (const seq of seqs) {
    if (bytes > max.bytes) return { deltas, nextSeq: seq };
    for (const delta of yield* readDot(tx, room, { replica, seq })) {
      deltas.push(delta);
      bytes += delta.bytes.length;
    }
  }
  const last = seqs.at(-1);
  return { deltas, nextSeq: last === undefined || seqs.length < max.deltas ? undefined : last + 1 };
}

/** Where an own delta stands among those of its key, also when it is superseded and its bytes are gone. */
export interface OutboxPlace {
  readonly keyId: KeyId;
  readonly hlc: Hlc;
  readonly prev: Hlc;
}

/** The place of the delta that a row of `outbox` is about. */
export function bytesToOutboxPlace(row: Uint8Array): OutboxPlace {
  const { keyId, hlc, prev } = readOutboxRow(row);
  return { keyId, hlc, prev };
}

/** `varUint writes • varUint bytes • varUint oldestAtMs • keyId 16 • u64 hlc • u64 prev` */
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
  }));
}
