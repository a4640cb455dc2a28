import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { type ErrorCode, isMangroveError, MangroveError } from './errors.js';
import type { Table } from './store/table.js';

/**
 * Encodes with a fresh lib0 encoder. Codecs come in pairs, `writeX` and `readX`, side by side.
 */
export function encode(write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder();
  write(encoder);
  return encoding.toUint8Array(encoder);
}

/**
 * Decodes all of `bytes` or throws `code`: any bytes give a value or a typed error, and trailing bytes are an error too [SY14].
 */
export function decode<Value>(
  bytes: Uint8Array,
  code: Extract<ErrorCode, 'FRAME_MALFORMED' | 'DELTA_MALFORMED' | 'BACKUP_DAMAGED' | 'INTERNAL'>,
  read: (decoder: decoding.Decoder) => Value,
): Value {
  const decoder = decoding.createDecoder(bytes);
  try {
    const value = read(decoder);
    if (decoding.hasContent(decoder)) throw new MangroveError(code, { reason: 'trailing bytes' });
    return value;
  } catch (error) {
    if (isMangroveError(error)) throw error;
    throw new MangroveError(code, { reason: error instanceof Error ? error.message : 'undecodable' }, { cause: error });
  }
}

/** Decodes a row of our own: a disk may have spoiled it, so it is read as carefully as what a peer sends. Throws `INTERNAL`. */
export function decodeRow<Value>(table: Table, row: Uint8Array, read: (decoder: decoding.Decoder) => Value): Value {
  try {
    return decode(row, 'INTERNAL', read);
  } catch (cause) {
    throw new MangroveError('INTERNAL', { reason: `a row of ${table} on disk cannot be read` }, { cause });
  }
}

/**
 * A whole number up to 2^53 − 1 in its shortest form, or it throws. lib0 lets longer forms pass, so that one delta would have many
 * encodings; it reads numbers over 2^53, where `seq + 1 === seq`; and it makes NaN, which no bound stops, of a long run of zeros.
 */
export function readVarUint(decoder: decoding.Decoder): number {
  const start = decoder.pos;
  const value = decoding.readVarUint(decoder);
  if (!Number.isSafeInteger(value)) throw new Error('a number is over 2^53 - 1');
  if (decoder.pos - start > 1 && decoder.arr[decoder.pos - 1] === 0) throw new Error('a number not in shortest form');
  return value;
}

/** A count that the remaining bytes can hold, each item taking at least `itemBytesMin`: checked before allocation [SY14]. */
export function readCount(decoder: decoding.Decoder, itemBytesMin: number, countMax: number): number {
  const count = readVarUint(decoder);
  const left = decoder.arr.length - decoder.pos;
  if (count > countMax || count * itemBytesMin > left) throw new Error(`a count of ${count} is out of bounds`);
  return count;
}

/** `length` bytes, copied: the frame they came in can be freed. */
export function readFixed(decoder: decoding.Decoder, length: number): Uint8Array {
  if (decoder.arr.length - decoder.pos < length) throw new Error('Unexpected end of array');
  return decoding.readUint8Array(decoder, length).slice();
}

/** lib0 reads `undefined` beyond the end. */
export function readU8(decoder: decoding.Decoder): number {
  if (!decoding.hasContent(decoder)) throw new Error('Unexpected end of array');
  return decoding.readUint8(decoder);
}

/** `varBytes` of at most `lengthMax`, copied. */
export function readBytes(decoder: decoding.Decoder, lengthMax: number): Uint8Array {
  return readFixed(decoder, readCount(decoder, 1, lengthMax));
}

export function writeU64(encoder: encoding.Encoder, value: number): void {
  encoding.writeUint32BigEndian(encoder, Math.floor(value / 2 ** 32));
  encoding.writeUint32BigEndian(encoder, value >>> 0);
}

/** At most 2^53 − 1, or it throws. */
export function readU64(decoder: decoding.Decoder): number {
  const value = decoding.readUint32BigEndian(decoder) * 2 ** 32 + decoding.readUint32BigEndian(decoder);
  if (!Number.isSafeInteger(value)) throw new Error('a number is over 2^53 - 1');
  return value;
}
