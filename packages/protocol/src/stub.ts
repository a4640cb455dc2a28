import * as encoding from 'lib0/encoding';
import { concatBytes, equalBytes } from './bytes.js';
import { decode, encode, readFixed } from './codec.js';
import {
  assertFloorKey,
  type Delta,
  type DeltaHeader,
  deriveDeltaId,
  headerToBytes,
  readBodyBytes,
  readCanonicalHeader,
  viewBody,
} from './delta.js';
import { MangroveError } from './errors.js';
import { HASH_BYTES, type Hash } from './hash.js';
import { type DeltaId, type RoomId, SIGNATURE_BYTES } from './ids.js';
import { countParts, hashParts, PART_BYTES, partBytesAt } from './parts.js';

/** Where a delta begins with 1, its format. */
const STUB = 2;

/**
 * A delta without its body, for bodies of more than one part: its signature is verified at once, and each part when it comes [DL10].
 */
export interface Stub extends DeltaHeader {
  readonly id: DeltaId;
  readonly bodyBytes: number;
  readonly partHashes: readonly Uint8Array[];
  readonly signature: Uint8Array;
  readonly headerBytes: Uint8Array;
  readonly bytes: Uint8Array;
}

/** `stub := u8 2 • header • varUint bodyBytes • n × H(part) • signature 64` */
export function deltaToStub(hash: Hash, roomId: RoomId, delta: Delta): Uint8Array {
  return encode((encoder) => {
    encoding.writeUint8(encoder, STUB);
    encoding.writeUint8Array(encoder, headerToBytes(roomId, delta));
    encoding.writeVarUint(encoder, delta.body.length);
    for (const partHash of hashParts(hash, delta.body)) encoding.writeUint8Array(encoder, partHash);
    encoding.writeUint8Array(encoder, delta.signature);
  });
}

/** True for what is decoded by {@link bytesToStub} rather than by `bytesToDelta`. */
export function isStub(entry: Uint8Array): boolean {
  return entry[0] === STUB;
}

/** Throws `DELTA_MALFORMED`, `WRONG_ROOM`, `BODY_TOO_LARGE`. The signature is not verified here. */
export function bytesToStub(hash: Hash, roomId: RoomId, bytes: Uint8Array): Stub {
  const read = decode(bytes, 'DELTA_MALFORMED', (decoder) => {
    if (readFixed(decoder, 1)[0] !== STUB) throw new MangroveError('DELTA_MALFORMED', { reason: 'no stub' });
    const { header, headerBytes } = readCanonicalHeader(decoder, roomId);
    const bodyBytes = readBodyBytes(decoder);
    // What fits one part is sent whole: one content, one form.
    if (bodyBytes <= PART_BYTES) throw new MangroveError('DELTA_MALFORMED', { reason: 'a stub of a small body' });
    const partHashes = Array.from({ length: countParts(bodyBytes) }, () => readFixed(decoder, HASH_BYTES));
    return { header, headerBytes, bodyBytes, partHashes, signature: readFixed(decoder, SIGNATURE_BYTES) };
  });
  const { header, headerBytes, bodyBytes, partHashes, signature } = read;
  assertFloorKey(hash, roomId, header);
  const id = deriveDeltaId(hash, roomId, headerBytes, bodyBytes, partHashes);
  return { ...header, id, bodyBytes, partHashes, signature, headerBytes, bytes };
}

/** Whether this is the part that the stub's author signed. */
export function isPartOf(hash: Hash, stub: Stub, index: number, part: Uint8Array): boolean {
  const expected = stub.partHashes[index];
  if (expected === undefined || part.length !== partBytesAt(stub.bodyBytes, index)) return false;
  return equalBytes(hash(part), expected);
}

/** The whole delta from all of its parts, each of which was verified. */
export function joinParts(stub: Stub, parts: readonly Uint8Array[]): Uint8Array {
  const length = encode((encoder) => encoding.writeVarUint(encoder, stub.bodyBytes));
  return concatBytes(stub.headerBytes, length, ...parts, stub.signature);
}

/**
 * What a held delta is sent as: itself, or its stub where its body has more than one part. Hashing eight MiB is asked for once, and the
 * delta is not checked again, as that would be to hash it a second time.
 */
export function toEntry(hash: Hash, roomId: RoomId, delta: Uint8Array): Uint8Array {
  if (delta.length <= PART_BYTES || isStub(delta)) return delta;
  let entry = entryByDelta.get(delta);
  if (entry === undefined) {
    const body = viewBody(roomId, delta);
    entry = body.length <= PART_BYTES ? delta : replaceBody(hash, delta, body);
    entryByDelta.set(delta, entry);
  }
  return entry;
}

/** The bytes of {@link deltaToStub}, from those of the delta. */
function replaceBody(hash: Hash, delta: Uint8Array, body: Uint8Array): Uint8Array {
  const start = body.byteOffset - delta.byteOffset;
  const signature = delta.subarray(start + body.length);
  return concatBytes(Uint8Array.of(STUB), delta.subarray(0, start), ...hashParts(hash, body), signature);
}

const entryByDelta = new WeakMap<Uint8Array, Uint8Array>();
