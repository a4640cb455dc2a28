import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { concatBytes } from '../bytes.js';
import { readFixed, readU8, readVarUint } from '../codec.js';
import { BASE_BYTES_MAX } from './delta-parts.js';

/**
 * A body by its difference from another [SY21]. Nothing is known of what is in it: it begins with the same bytes, and where it is as long as the
 * other, a bit for each byte after them says whether it is another one. Of a typed letter that leaves the letter and the ends of two clocks.
 */
export function writeToldBody(encoder: encoding.Encoder, body: Uint8Array, base: Uint8Array): void {
  const shared = countShared(body, base);
  encoding.writeVarUint(encoder, shared);
  if (body.length !== base.length) {
    encoding.writeVarUint8Array(encoder, body.subarray(shared));
    return;
  }
  const map = new Uint8Array(Math.ceil((body.length - shared) / 8));
  for (let i = shared; i < body.length; i++) if (body[i] !== base[i]) flipBit(map, i - shared);
  encoding.writeUint8Array(encoder, map);
  encoding.writeUint8Array(
    encoder,
    body.filter((byte, i) => byte !== base[i]),
  );
}

/** `isSameLength`: as was said before. What comes is at most a base's size, whatever was announced. */
export function readToldBody(decoder: decoding.Decoder, base: Uint8Array, isSameLength: boolean): Uint8Array {
  const shared = readVarUint(decoder);
  if (shared > base.length) throw new Error('a body that shares more than there is');
  if (!isSameLength) {
    const own = readVarUint(decoder);
    if (shared + own > BASE_BYTES_MAX || shared + own === base.length) throw new Error('a body of another length');
    return concatBytes(base.subarray(0, shared), readFixed(decoder, own));
  }
  const body = base.slice();
  const map = readFixed(decoder, Math.ceil((base.length - shared) / 8));
  for (let i = 0; i < 8 * map.length; i++) {
    if (!hasBit(map, i)) continue;
    const byte = readU8(decoder);
    if (shared + i >= base.length || byte === base[shared + i]) throw new Error('a change that is none');
    body[shared + i] = byte;
  }
  return body;
}

function countShared(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < length && a[shared] === b[shared]) shared++;
  return shared;
}

function flipBit(map: Uint8Array, at: number): void {
  map[at >> 3] = (map[at >> 3] as number) ^ (1 << (at & 7));
}

const hasBit = (map: Uint8Array, at: number): boolean => ((map[at >> 3] as number) & (1 << (at & 7))) !== 0;
