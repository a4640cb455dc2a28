import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { concatBytes } from '../bytes.js';
import { checksum } from '../checksum.js';
import { decodeRow, encode, readCount, readFixed, readU64, readU8, writeU64 } from '../codec.js';
import { type Context, makeContext, type Stamped } from '../context.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import { MangroveError } from '../errors.js';
import type { Hlc } from '../hlc.js';
import { bytesToReplicaId, idToBytes, KEY_ID_BYTES, REPLICA_ID_BYTES } from '../ids.js';

/** What of a key is not read from its deltas one by one. */
export interface Past {
  /**
   * `superseded`: of a record, what deltas of it that can be used have seen, all of them together [FH2].
   * `merged`: of a document, up to where its deltas are in the one update beside [FH4].
   */
  readonly kind: 'superseded' | 'merged';
  readonly upTo: Context;
  /** Trie keys of deltas that lie within it and are read all the same: they came late, or could not be merged. */
  readonly left: readonly Uint8Array[];
}

/** So many are left at most: each is a part of a row that is written again with the next one. */
export const LEFT_MAX = 1_024;
const KINDS = ['superseded', 'merged'] as const;
const LEFT_BYTES = TRIE_KEY_BYTES - KEY_ID_BYTES;
const STAMPED_BYTES = REPLICA_ID_BYTES + 8;
const SUM_BYTES = 4;

/**
 * `u8 kind • stamped (the stamps) • stamped (the dots) • varUint n • n × (trie key without its keyId: 48) • u32 checksum over the key and all of
 * that`, with `stamped := varUint n • n × (replica 8 • u64 hlc)`: what many contexts come to together may be more than one may name [FL13].
 */
export function pastToRow(key: Uint8Array, { kind, upTo, left }: Past): Uint8Array {
  const bytes = encode((encoder) => {
    encoding.writeUint8(encoder, KINDS.indexOf(kind));
    writeStamped(
      encoder,
      [...upTo.stamps].map(([replica, hlc]) => ({ replica, hlc })),
    );
    writeStamped(encoder, upTo.dots);
    encoding.writeVarUint(encoder, left.length);
    for (const trieKey of left) encoding.writeUint8Array(encoder, trieKey.subarray(KEY_ID_BYTES));
  });
  return withSum(key, bytes);
}

/** Throws `INTERNAL`: what is hidden by a row that a disk has spoiled is hidden for no reason. */
export function rowToPast(key: Uint8Array, row: Uint8Array): Past {
  return decodeRow('past', withoutSum('past', key, row), (decoder) => {
    const kind = KINDS[readU8(decoder)];
    if (kind === undefined) throw new Error('unknown kind');
    const stamps = readStamped(decoder).map(({ replica, hlc }) => [replica, hlc] as const);
    const upTo = makeContext(new Map(stamps), readStamped(decoder));
    const left = Array.from({ length: readCount(decoder, LEFT_BYTES, LEFT_MAX) }, () =>
      concatBytes(key, readFixed(decoder, LEFT_BYTES)),
    );
    return { kind, upTo, left };
  });
}

export const mergedToRow = (key: Uint8Array, update: Uint8Array): Uint8Array => withSum(key, update);

/** Throws `INTERNAL`. */
export const rowToMerged = (key: Uint8Array, row: Uint8Array): Uint8Array => withoutSum('merged', key, row);

function writeStamped(encoder: encoding.Encoder, list: readonly Stamped[]): void {
  encoding.writeVarUint(encoder, list.length);
  for (const { replica, hlc } of list) {
    encoding.writeUint8Array(encoder, idToBytes(replica));
    writeU64(encoder, hlc);
  }
}

function readStamped(decoder: decoding.Decoder): readonly Stamped[] {
  return Array.from({ length: readCount(decoder, STAMPED_BYTES, Number.MAX_SAFE_INTEGER) }, () => ({
    replica: bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES)),
    hlc: readU64(decoder) as Hlc,
  }));
}

function withSum(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return concatBytes(
    bytes,
    encode((encoder) => encoding.writeUint32BigEndian(encoder, checksum(key, bytes))),
  );
}

function withoutSum(table: 'past' | 'merged', key: Uint8Array, row: Uint8Array): Uint8Array {
  const bytes = row.subarray(0, Math.max(0, row.length - SUM_BYTES));
  const told =
    row.length < SUM_BYTES ? undefined : decoding.readUint32BigEndian(decoding.createDecoder(row.slice(-SUM_BYTES)));
  if (told !== checksum(key, bytes))
    throw new MangroveError('INTERNAL', { reason: `a row of ${table} on disk is not what was written` });
  return bytes;
}
