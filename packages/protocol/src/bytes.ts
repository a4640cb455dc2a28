/** Byte helpers shared by ids, codecs and stores. */

import { MangroveError } from './errors.js';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** The value of a lowercase hex digit by its char code, 255 for anything else. */
const NIBBLE = Uint8Array.from(
  { length: 128 },
  (_, code) => '0123456789abcdef'.indexOf(String.fromCharCode(code)) & 255,
);
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function bytesToHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += HEX[byte];
  return hex;
}

/** Lowercase hex of even length only; anything else throws, as ids are made by our own code. */
export function hexToBytes(hex: string): Uint8Array {
  if (hex.length % 2 !== 0) throw new Error(`not lowercase hex: ${hex}`);
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = NIBBLE[hex.charCodeAt(2 * i)] ?? 255;
    const low = NIBBLE[hex.charCodeAt(2 * i + 1)] ?? 255;
    if ((high | low) > 15) throw new Error(`not lowercase hex: ${hex}`);
    bytes[i] = high * 16 + low;
  }
  return bytes;
}

export function utf8ToBytes(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** Throws `TypeError` on bytes that are not UTF-8. */
export function bytesToUtf8(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes);
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Byte order, as every ordered store sorts its keys. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** A whole number up to 2^53 − 1 as 8 bytes, big endian, so that byte order is number order. */
export function u64ToBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(value / 2 ** 32));
  view.setUint32(4, value >>> 0);
  return bytes;
}

/** The number may exceed 2^53 − 1 when the bytes come from a peer; callers check. Throws `INTERNAL` for a row that is too short. */
export function bytesToU64(bytes: Uint8Array, offset = 0): number {
  if (bytes.length < offset + 8) throw new MangroveError('INTERNAL', { reason: 'a number on disk cannot be read' });
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 8);
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4);
}

/** The least key above this one: where a walk over rows goes on, and the end of a range of one key. */
export function keyAfter(key: Uint8Array): Uint8Array {
  return concatBytes(key, new Uint8Array(1));
}

/** The least key above all keys that start with `prefix`; undefined when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if (prefix[i] !== 0xff) {
      const end = prefix.slice(0, i + 1);
      end[i] = (end[i] as number) + 1;
      return end;
    }
  }
  return undefined;
}

/** The least key above `key`. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
