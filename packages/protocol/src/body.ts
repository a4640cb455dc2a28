import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { concatBytes } from './bytes.js';
import { decode, encode, readBytes, readFixed } from './codec.js';
import { compressBody, type Deflate, decompressBody } from './compression.js';
import { MangroveError } from './errors.js';
import { type Delta, FLAG, hasFlag } from './delta.js';
import { type KeyName, readKeyName, writeKeyName } from './ids.js';
import { defaultLimits } from './limits.js';

/** What a body says once it is decrypted and decompressed [DL5]. */
export interface Body {
  readonly name: KeyName;
  /** A Yjs update, an encoded record, or nothing for a tombstone. */
  readonly payload: Uint8Array;
}

/** A record's payload: its value, and the value it was written over where a resolver needs it. Both in canonical encoding. */
export interface RecordPayload {
  readonly value: Uint8Array;
  readonly base?: Uint8Array;
}

export function bodyToBytes(body: Body): Uint8Array {
  return encode((encoder) => {
    writeKeyName(encoder, body.name);
    encoding.writeUint8Array(encoder, body.payload);
  });
}

/** Throws `DELTA_MALFORMED`. */
export function bytesToBody(bytes: Uint8Array): Body {
  return decode(bytes, 'DELTA_MALFORMED', (decoder) => ({ name: readKeyName(decoder), payload: readRest(decoder) }));
}

/** A body as a delta carries it, and the flag that says how [DL11]. Throws `BODY_TOO_LARGE` [DL8]. */
export function packBody(body: Body, deflate: Deflate): { readonly bytes: Uint8Array; readonly flags: number } {
  const plain = bodyToBytes(body);
  const { bodyBytesMax } = defaultLimits;
  if (plain.length > bodyBytesMax) throw new MangroveError('BODY_TOO_LARGE', { bodyBytes: plain.length, bodyBytesMax });
  const compressed = compressBody(plain, deflate);
  return compressed === undefined ? { bytes: plain, flags: 0 } : { bytes: compressed, flags: FLAG.compressed };
}

/** What a delta says, however its body is packed: the one way to look into it. Throws `DELTA_MALFORMED`. */
export function bodyOfDelta({ flags, body }: Pick<Delta, 'flags' | 'body'>): Body {
  return bytesToBody(hasFlag({ flags }, FLAG.compressed) ? decompressBody(body) : body);
}

/** A checkpoint's payload [CP1]: the hash of what it covers, and the merged document. */
export interface CheckpointPayload {
  readonly coverage: Uint8Array;
  readonly update: Uint8Array;
}

export const COVERAGE_BYTES = 32;

export function checkpointPayloadToBytes({ coverage, update }: CheckpointPayload): Uint8Array {
  return concatBytes(coverage, update);
}

/** Throws `DELTA_MALFORMED`. */
export function bytesToCheckpointPayload(bytes: Uint8Array): CheckpointPayload {
  return decode(bytes, 'DELTA_MALFORMED', (decoder) => ({
    coverage: readFixed(decoder, COVERAGE_BYTES),
    update: readRest(decoder),
  }));
}

/** What a delta of a document adds to it, a checkpoint's coverage left out. Throws `DELTA_MALFORMED`. */
export function updateOfDelta(delta: Pick<Delta, 'flags' | 'body'>): Uint8Array {
  return updateOfPayload(delta, bodyOfDelta(delta).payload);
}

/** The same where the body has been looked into already. */
export function updateOfPayload(header: Pick<Delta, 'flags'>, payload: Uint8Array): Uint8Array {
  return hasFlag(header, FLAG.checkpoint) ? bytesToCheckpointPayload(payload).update : payload;
}

export function recordPayloadToBytes(payload: RecordPayload): Uint8Array {
  return encode((encoder) => {
    encoding.writeUint8(encoder, payload.base === undefined ? 0 : 1);
    if (payload.base !== undefined) encoding.writeVarUint8Array(encoder, payload.base);
    encoding.writeUint8Array(encoder, payload.value);
  });
}

/** Throws `DELTA_MALFORMED`, and `VALUE_TOO_LARGE` for a value that no replica takes from its application [DL8]. */
export function bytesToRecordPayload(bytes: Uint8Array): RecordPayload {
  return decode(bytes, 'DELTA_MALFORMED', (decoder) => {
    const form = decoding.readUint8(decoder);
    if (form > 1) throw new MangroveError('DELTA_MALFORMED', { reason: 'unknown form of a record' });
    const { valueBytesMax } = defaultLimits;
    const base = form === 1 ? readBytes(decoder, valueBytesMax) : undefined;
    const valueBytes = decoder.arr.length - decoder.pos;
    if (valueBytes > valueBytesMax) throw new MangroveError('VALUE_TOO_LARGE', { valueBytes, valueBytesMax });
    const value = readRest(decoder);
    return base === undefined ? { value } : { value, base };
  });
}

function readRest(decoder: decoding.Decoder): Uint8Array {
  return readFixed(decoder, decoder.arr.length - decoder.pos);
}
