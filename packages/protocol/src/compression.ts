import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { encode, readVarUint } from './codec.js';
import { MangroveError } from './errors.js';
import { inflate } from './inflate.js';
import { defaultLimits } from './limits.js';

/** Compresses bytes into a raw DEFLATE stream: a port, as it takes a library, and synchronous, as plans run inside of transactions. */
export type Deflate = (bytes: Uint8Array) => Uint8Array;

/** A plain body as it is to be stored, or undefined where compressing it is not worth while [DL11]. */
export function compressBody(plain: Uint8Array, deflate: Deflate): Uint8Array | undefined {
  if (plain.length < defaultLimits.compressBytesMin) return undefined;
  const stored = encode((encoder) => {
    encoding.writeVarUint(encoder, plain.length);
    encoding.writeUint8Array(encoder, deflate(plain));
  });
  return stored.length <= plain.length - plain.length / 8 ? stored : undefined;
}

/** The inverse. How long the plain body is, is checked before anything is allocated. Throws `DELTA_MALFORMED` [DL11]. */
export function decompressBody(stored: Uint8Array): Uint8Array {
  const { bodyBytesMax } = defaultLimits;
  try {
    const decoder = decoding.createDecoder(stored);
    const plainBytes = readVarUint(decoder);
    if (plainBytes > bodyBytesMax || plainBytes <= stored.length)
      throw new Error(`${stored.length} bytes cannot stand for ${plainBytes}`);
    return inflate(stored.subarray(decoder.pos), plainBytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'undecodable';
    throw new MangroveError('DELTA_MALFORMED', { reason }, { cause });
  }
}
