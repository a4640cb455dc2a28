import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToHex, concatBytes, equalBytes, hexToBytes, u64ToBytes, utf8ToBytes } from './bytes.js';
import { decode, encode, readCount, readFixed, readU64, readVarUint, writeU64 } from './codec.js';
import {
  type Context,
  compareStamped,
  EMPTY_CONTEXT,
  highestEntry,
  isEmptyContext,
  joinContexts,
  makeContext,
  type Stamped,
} from './context.js';
import { MangroveError } from './errors.js';
import type { Hash } from './hash.js';
import type { Hlc } from './hlc.js';
import {
  bytesToDeltaId,
  bytesToKeyId,
  bytesToReplicaId,
  type DeltaId,
  deriveFloorKeyId,
  idToBytes,
  KEY_ID_BYTES,
  type KeyId,
  REPLICA_ID_BYTES,
  type ReplicaId,
  type RoomId,
  SIGNATURE_BYTES,
} from './ids.js';
import { defaultLimits } from './limits.js';
import { hashParts } from './parts.js';

/** Flags of a delta's header [DL4]. */
export const FLAG = {
  compressed: 1,
  encrypted: 2,
  seed: 4,
  import: 8,
  checkpoint: 16,
  tombstone: 32,
  floor: 64,
} as const;
const KNOWN_FLAGS = 127;
const FORMAT = 1;
const DOMAIN = utf8ToBytes('mangrove:delta:1');

/** What a delta says of itself to everybody, a relay included [DL1]. */
export interface DeltaHeader {
  readonly replica: ReplicaId;
  readonly seq: number;
  readonly keyId: KeyId;
  /** Given at sealing. */
  readonly hlc: Hlc;
  /** When the edit itself was made; what last-write-wins compares. */
  readonly writtenAt: Hlc;
  /** The `hlc` of this replica's previous standing delta of the key, 0 for the first [JS5]. */
  readonly prev: Hlc;
  readonly context: Context;
  readonly flags: number;
  /** Nonces of the Yjs clientIDs that the body's new structs carry, ascending [ID5]. */
  readonly nonces: readonly number[];
}

/** The immutable unit that is stored, sent and proved. `bytes` is its whole encoding; the rest is decoded from it. */
export interface Delta extends DeltaHeader {
  readonly id: DeltaId;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A delta before its signature. `message` is what is to be signed [DL2]. */
export interface UnsignedDelta extends DeltaHeader {
  readonly id: DeltaId;
  readonly body: Uint8Array;
  readonly headerBytes: Uint8Array;
  readonly message: Uint8Array;
}

/** Throws `BODY_TOO_LARGE`, and `DELTA_MALFORMED` for a header that nobody would take: a number below zero has no encoding. */
export function makeUnsignedDelta(hash: Hash, roomId: RoomId, header: DeltaHeader, body: Uint8Array): UnsignedDelta {
  const { bodyBytesMax } = defaultLimits;
  if (body.length > bodyBytesMax) throw new MangroveError('BODY_TOO_LARGE', { bodyBytes: body.length, bodyBytesMax });
  assertWellFormed(header);
  assertFloorKey(hash, roomId, header);
  const headerBytes = headerToBytes(roomId, header);
  const id = deriveDeltaId(hash, roomId, headerBytes, body.length, hashParts(hash, body));
  return { ...header, id, body, headerBytes, message: deltaMessage(id) };
}

export function signDelta(unsigned: UnsignedDelta, signature: Uint8Array): Delta {
  const { headerBytes, message: _, ...delta } = unsigned;
  const bytes = encode((encoder) => {
    encoding.writeUint8Array(encoder, headerBytes);
    encoding.writeVarUint8Array(encoder, unsigned.body);
    encoding.writeUint8Array(encoder, signature);
  });
  return { ...delta, signature, bytes };
}

/** What the signature of a delta is over [DL2]. */
export function deltaMessage(id: DeltaId): Uint8Array {
  return concatBytes(DOMAIN, idToBytes(id));
}

/**
 * Decodes and checks one delta of `roomId`: bounds, canonical form, and safety rule 3 [DL3, DL7]. The signature is not verified here.
 *
 * Throws `DELTA_MALFORMED`, `WRONG_ROOM`, `BODY_TOO_LARGE`.
 */
export function bytesToDelta(hash: Hash, roomId: RoomId, bytes: Uint8Array): Delta {
  const { header, headerBytes, body, signature } = decode(bytes, 'DELTA_MALFORMED', (decoder) => {
    const read = readCanonicalHeader(decoder, roomId);
    const body = readFixed(decoder, readBodyBytes(decoder));
    return { ...read, body, signature: readFixed(decoder, SIGNATURE_BYTES) };
  });
  assertFloorKey(hash, roomId, header);
  const id = deriveDeltaId(hash, roomId, headerBytes, body.length, hashParts(hash, body));
  return { ...header, id, body, signature, bytes };
}

/** The body of a stored delta, neither copied nor checked: it was when it was taken. */
export function viewBody(roomId: RoomId, bytes: Uint8Array): Uint8Array {
  const decoder = decoding.createDecoder(bytes);
  readHeader(decoder, roomId);
  const bodyBytes = readVarUint(decoder);
  return bytes.subarray(decoder.pos, decoder.pos + bodyBytes);
}

/** [MK1] The key of a delta in the set, the index and the store: 64 bytes that sort by document or record, writer and time. */
export function trieKeyOf(delta: Pick<Delta, 'keyId' | 'replica' | 'hlc' | 'id'>): Uint8Array {
  return concatBytes(idToBytes(delta.keyId), idToBytes(delta.replica), u64ToBytes(delta.hlc), idToBytes(delta.id));
}

export const TRIE_KEY_BYTES = 64;

/** The parts of a trie key; the inverse of {@link trieKeyOf}. */
export function parseTrieKey(key: Uint8Array): { keyId: KeyId; id: DeltaId } & Stamped {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  return {
    keyId: bytesToKeyId(key.subarray(0, 16)),
    replica: bytesToReplicaId(key.subarray(16, 24)),
    hlc: (view.getUint32(24) * 2 ** 32 + view.getUint32(28)) as Hlc,
    id: bytesToDeltaId(key.subarray(32, 64)),
  };
}

export function hasContext(header: DeltaHeader): boolean {
  return !isEmptyContext(header.context);
}

/**
 * What a delta covers [CX1]: its context, and a floor all earlier ones of its replica as well [FL1], so that nobody has more than one in the
 * set, which everybody would have to ask about everything.
 */
export function coverOf({
  replica,
  hlc,
  flags,
  context,
}: Pick<Delta, 'replica' | 'hlc' | 'flags' | 'context'>): Context {
  if (!hasFlag({ flags }, FLAG.floor) || hlc === 1) return context;
  return joinContexts([context, { stamps: new Map([[replica, (hlc - 1) as Hlc]]), dots: [] }]);
}

/** [SY9] True when accepting the delta may drop others: then its signature is verified by everybody. */
export const mayDrop = (header: DeltaHeader): boolean => hasContext(header) || hasFlag(header, FLAG.floor);

export const hasFlag = (header: Pick<DeltaHeader, 'flags'>, flag: number): boolean => (header.flags & flag) !== 0;

/** A context as it is written relative to the stamp of its delta [DL1]; also used for stored contexts. */
export function writeContext(encoder: encoding.Encoder, context: Context, hlc: number): void {
  const stamps = [...context.stamps].sort(([a], [b]) => (a < b ? -1 : 1));
  encoding.writeVarUint(encoder, stamps.length);
  for (const [replica, stamp] of stamps) writeStamped(encoder, { replica, hlc: stamp }, hlc);
  encoding.writeVarUint(encoder, context.dots.length);
  for (const dot of context.dots) writeStamped(encoder, dot, hlc);
}

export function readContext(decoder: decoding.Decoder, hlc: number): Context {
  const stamps = readStampedList(decoder, hlc);
  const dots = readStampedList(decoder, hlc);
  if (stamps.length === 0 && dots.length === 0) return EMPTY_CONTEXT;
  return makeContext(new Map(stamps.map((stamp) => [stamp.replica, stamp.hlc])), dots);
}

function writeHeader(encoder: encoding.Encoder, roomId: RoomId, header: DeltaHeader): void {
  encoding.writeUint8(encoder, FORMAT);
  encoding.writeUint8Array(encoder, hexToBytes(roomId.slice(0, 8)));
  encoding.writeUint8(encoder, header.flags);
  encoding.writeUint8Array(encoder, idToBytes(header.replica));
  encoding.writeVarUint(encoder, header.seq);
  encoding.writeUint8Array(encoder, idToBytes(header.keyId));
  writeU64(encoder, header.hlc);
  encoding.writeVarUint(encoder, header.hlc - header.writtenAt);
  encoding.writeVarUint(encoder, header.prev === 0 ? 0 : header.hlc - header.prev);
  writeContext(encoder, header.context, header.hlc);
  encoding.writeVarUint(encoder, header.nonces.length);
  for (const nonce of header.nonces) encoding.writeUint32BigEndian(encoder, nonce);
}

function readHeader(decoder: decoding.Decoder, roomId: RoomId): DeltaHeader {
  const format = decoding.readUint8(decoder);
  if (format !== FORMAT) throw new MangroveError('DELTA_MALFORMED', { reason: `format ${format} is unknown` });
  if (bytesToHex(readFixed(decoder, 4)) !== roomId.slice(0, 8)) throw new MangroveError('WRONG_ROOM');
  const flags = decoding.readUint8(decoder);
  const replica = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
  const seq = readVarUint(decoder);
  const keyId = bytesToKeyId(readFixed(decoder, KEY_ID_BYTES));
  const hlc = readU64(decoder);
  const writtenAt = hlc - readVarUint(decoder);
  const sincePrev = readVarUint(decoder);
  const context = readContext(decoder, hlc);
  const nonces = Array.from({ length: readCount(decoder, 4, defaultLimits.noncesPerDeltaMax) }, () =>
    decoding.readUint32BigEndian(decoder),
  );
  return {
    flags,
    replica,
    seq,
    keyId,
    hlc: hlc as Hlc,
    writtenAt: writtenAt as Hlc,
    prev: (sincePrev === 0 ? 0 : hlc - sincePrev) as Hlc,
    context,
    nonces,
  };
}

export function headerToBytes(roomId: RoomId, header: DeltaHeader): Uint8Array {
  return encode((encoder) => writeHeader(encoder, roomId, header));
}

/** The header at the decoder's place, well-formed and in canonical form, with its bytes [DL3, DL7]. */
export function readCanonicalHeader(
  decoder: decoding.Decoder,
  roomId: RoomId,
): { readonly header: DeltaHeader; readonly headerBytes: Uint8Array } {
  const start = decoder.pos;
  const header = readHeader(decoder, roomId);
  const headerBytes = decoder.arr.subarray(start, decoder.pos);
  assertWellFormed(header);
  const canonical = headerToBytes(roomId, header);
  if (!equalBytes(headerBytes, canonical))
    throw new MangroveError('DELTA_MALFORMED', { reason: 'not in canonical form' });
  return { header, headerBytes: canonical };
}

/** The length that a body announces. Throws `BODY_TOO_LARGE` [DL8]. */
export function readBodyBytes(decoder: decoding.Decoder): number {
  const bodyBytes = readVarUint(decoder);
  const { bodyBytesMax } = defaultLimits;
  if (bodyBytes > bodyBytesMax) throw new MangroveError('BODY_TOO_LARGE', { bodyBytes, bodyBytesMax });
  return bodyBytes;
}

/** [DL6, DL7] What a header alone can be wrong about. */
function assertWellFormed(header: DeltaHeader): void {
  const fault = (reason: string): never => {
    throw new MangroveError('DELTA_MALFORMED', { reason });
  };
  if ((header.flags & ~KNOWN_FLAGS) !== 0) fault('unknown flags');
  if (header.seq < 1) fault('a sequence number of 0');
  if (header.hlc < 1) fault('a stamp of 0');
  if (header.writtenAt < 0 || header.writtenAt > header.hlc) fault('writtenAt is above its own stamp');
  if (header.prev < 0 || header.prev >= header.hlc) fault('prev is not below its own stamp');
  const { replicasPerKeyMax, noncesPerDeltaMax } = defaultLimits;
  const { stamps, dots } = header.context;
  if (stamps.size > replicasPerKeyMax || dots.length > replicasPerKeyMax) fault('a context of too many replicas');
  if (header.nonces.length > noncesPerDeltaMax) fault('too many nonces');
  const highest = highestEntry(header.context);
  if (highest >= header.hlc) fault('a context that reaches its own stamp');
  if (hasFlag(header, FLAG.tombstone) && header.nonces.length > 0) fault('a tombstone with nonces');
  if (hasFlag(header, FLAG.floor) && (header.flags !== FLAG.floor || header.nonces.length > 0))
    fault('a floor that is something else as well');
  for (let i = 1; i < header.nonces.length; i++) {
    if ((header.nonces[i] as number) <= (header.nonces[i - 1] as number)) fault('nonces out of order');
  }
}

/** [FL1] Throws `DELTA_MALFORMED` for a floor that is not under the key of floors. */
export function assertFloorKey(hash: Hash, roomId: RoomId, header: Pick<DeltaHeader, 'flags' | 'keyId'>): void {
  if (hasFlag(header, FLAG.floor) && header.keyId !== deriveFloorKeyId(hash, roomId))
    throw new MangroveError('DELTA_MALFORMED', { reason: 'a floor under the key of something else' });
}

/** [DL2] The hashes of the parts stand for the body, so that who has only them can verify the signature. */
export function deriveDeltaId(
  hash: Hash,
  roomId: RoomId,
  headerBytes: Uint8Array,
  bodyBytes: number,
  partHashes: readonly Uint8Array[],
): DeltaId {
  const length = encode((encoder) => encoding.writeVarUint(encoder, bodyBytes));
  return bytesToDeltaId(hash(concatBytes(DOMAIN, idToBytes(roomId), headerBytes, length, ...partHashes)));
}

function writeStamped(encoder: encoding.Encoder, stamped: Stamped, hlc: number): void {
  encoding.writeUint8Array(encoder, idToBytes(stamped.replica));
  encoding.writeVarUint(encoder, hlc - stamped.hlc);
}

function readStampedList(decoder: decoding.Decoder, hlc: number): Stamped[] {
  const count = readCount(decoder, REPLICA_ID_BYTES + 1, defaultLimits.replicasPerKeyMax);
  const list: Stamped[] = [];
  for (let i = 0; i < count; i++) {
    const replica = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
    const stamped = { replica, hlc: (hlc - readVarUint(decoder)) as Hlc };
    const last = list[i - 1];
    if (stamped.hlc < 1) throw new MangroveError('DELTA_MALFORMED', { reason: 'a context entry of 0' });
    if (last !== undefined && compareStamped(last, stamped) >= 0)
      throw new MangroveError('DELTA_MALFORMED', { reason: 'context out of order' });
    list.push(stamped);
  }
  return list;
}
