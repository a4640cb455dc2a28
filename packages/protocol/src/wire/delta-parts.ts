import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { encode, readCount, readFixed, readU64, readU8, readVarUint, writeU64 } from '../codec.js';
import { KEY_ID_BYTES, REPLICA_ID_BYTES, SIGNATURE_BYTES } from '../ids.js';
import { defaultLimits } from '../limits.js';
import type { DeltaBytes } from './messages.js';

/** What is larger is no keystroke: it is told whole, and nothing is told by its difference from it. */
export const BASE_BYTES_MAX = 512;

const DELTA = 1;
/** Format, room tag and flags, and the replica. */
const FRONT_BYTES = 6 + REPLICA_ID_BYTES;

/**
 * The fields of a delta without a context, as {@link bytesToDelta} knows them, but neither judged nor turned into ids: whoever tells a delta by its
 * difference from another needs their bytes, and that these give back the very same delta [SY21].
 */
export interface DeltaParts {
  readonly bytes: DeltaBytes;
  readonly front: Uint8Array;
  readonly seq: number;
  readonly keyId: Uint8Array;
  readonly hlc: number;
  /** `hlc − writtenAt`. */
  readonly age: number;
  /** `hlc − prev`, or 0. */
  readonly sincePrev: number;
  /** With their count. */
  readonly nonces: Uint8Array;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

/** Undefined for whatever is not told by its difference: stubs, large deltas, those with a context, and bytes that are no delta. */
export function partsOfDelta(bytes: DeltaBytes): DeltaParts | undefined {
  if (bytes.length > BASE_BYTES_MAX || bytes[0] !== DELTA) return undefined;
  let parts = partsByDelta.get(bytes);
  if (parts === undefined) partsByDelta.set(bytes, (parts = takeApart(bytes)));
  return parts ?? undefined;
}

/** A delta goes to many links. */
const partsByDelta = new WeakMap<DeltaBytes, DeltaParts | null>();

export function joinDelta(parts: Omit<DeltaParts, 'bytes'>): DeltaParts {
  const bytes = encode((encoder) => {
    encoding.writeUint8Array(encoder, parts.front);
    encoding.writeVarUint(encoder, parts.seq);
    encoding.writeUint8Array(encoder, parts.keyId);
    writeU64(encoder, parts.hlc);
    encoding.writeVarUint(encoder, parts.age);
    encoding.writeVarUint(encoder, parts.sincePrev);
    encoding.writeUint8(encoder, 0);
    encoding.writeUint8(encoder, 0);
    encoding.writeUint8Array(encoder, parts.nonces);
    encoding.writeVarUint8Array(encoder, parts.body);
    encoding.writeUint8Array(encoder, parts.signature);
  });
  const joined = { ...parts, bytes };
  partsByDelta.set(bytes, joined);
  return joined;
}

function takeApart(bytes: DeltaBytes): DeltaParts | null {
  const decoder = decoding.createDecoder(bytes);
  try {
    const front = readFixed(decoder, FRONT_BYTES);
    const seq = readVarUint(decoder);
    const keyId = readFixed(decoder, KEY_ID_BYTES);
    const hlc = readU64(decoder);
    const age = readVarUint(decoder);
    const sincePrev = readVarUint(decoder);
    if (readU8(decoder) !== 0 || readU8(decoder) !== 0) return null;
    const from = decoder.pos;
    const noncesBytes = 4 * readCount(decoder, 4, defaultLimits.noncesPerDeltaMax);
    readFixed(decoder, noncesBytes);
    const nonces = bytes.subarray(from, decoder.pos);
    const body = readFixed(decoder, readVarUint(decoder));
    const signature = readFixed(decoder, SIGNATURE_BYTES);
    return decoding.hasContent(decoder)
      ? null
      : { bytes, front, seq, keyId, hlc, age, sincePrev, nonces, body, signature };
  } catch {
    return null;
  }
}
