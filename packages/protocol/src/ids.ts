import * as encoding from 'lib0/encoding';
import * as decoding from 'lib0/decoding';
import { bytesToHex, bytesToUtf8, concatBytes, hexToBytes, utf8ToBytes } from './bytes.js';
import { readBytes } from './codec.js';
import { MangroveError } from './errors.js';
import type { Hash } from './hash.js';
import { defaultLimits } from './limits.js';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

/** 64 hex digits. */
export type RoomId = Id<'RoomId'>;
/** 16 hex digits: one device's store of one room. */
export type ReplicaId = Id<'ReplicaId'>;
/** 32 hex digits: a document or a record, without its name. */
export type KeyId = Id<'KeyId'>;
/** 64 hex digits. */
export type DeltaId = Id<'DeltaId'>;

export const ROOM_ID_BYTES = 32;
export const REPLICA_ID_BYTES = 8;
export const KEY_ID_BYTES = 16;
export const DELTA_ID_BYTES = 32;
/** As much of a delta's id as tells two deltas on one dot apart. */
export const SHORT_ID_BYTES = 8;
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
/** What the body of a floor begins with, where others have the kind of their name [FL2]. */
export const FLOOR_KIND = 2;

/** Fixed when a room is created and bound into its id [ID1]. */
export interface RoomConfig {
  readonly history: 'current' | 'full';
  readonly encrypted: boolean;
}

/** `collection` is empty for documents [ID3]. */
export interface KeyName {
  readonly kind: 'document' | 'record';
  readonly collection: string;
  readonly id: string;
}

export const bytesToRoomId = (bytes: Uint8Array): RoomId => bytesToHex(bytes) as RoomId;
export const bytesToReplicaId = (bytes: Uint8Array): ReplicaId => bytesToHex(bytes) as ReplicaId;
export const bytesToKeyId = (bytes: Uint8Array): KeyId => bytesToHex(bytes) as KeyId;
export const bytesToDeltaId = (bytes: Uint8Array): DeltaId => bytesToHex(bytes) as DeltaId;
export const idToBytes = (id: RoomId | ReplicaId | KeyId | DeltaId): Uint8Array => hexToBytes(id);
export const shortIdToBytes = (id: DeltaId): Uint8Array => hexToBytes(id.slice(0, 2 * SHORT_ID_BYTES));

/** Bits of a room's configuration as they are hashed and sent [ID1]. */
export function roomConfigToByte(config: RoomConfig): number {
  return (config.history === 'full' ? 1 : 0) | (config.encrypted ? 2 : 0);
}

/** Undefined for bits that this version does not know. */
export function byteToRoomConfig(byte: number): RoomConfig | undefined {
  if (byte > 3) return undefined;
  return { history: byte & 1 ? 'full' : 'current', encrypted: (byte & 2) !== 0 };
}

/** [ID1] Throws `NAME_INVALID`. */
export function deriveRoomId(hash: Hash, name: string, config: RoomConfig): RoomId {
  assertName('room', name);
  const encoder = domain('mangrove:room:1');
  encoding.writeVarString(encoder, name);
  encoding.writeUint8(encoder, roomConfigToByte(config));
  return bytesToRoomId(hash(encoding.toUint8Array(encoder)));
}

/** [ID2] */
export function deriveReplicaId(hash: Hash, roomId: RoomId, publicKey: Uint8Array): ReplicaId {
  const digest = hash(concatBytes(utf8ToBytes('mangrove:replica:1'), idToBytes(roomId), publicKey));
  return bytesToReplicaId(digest.subarray(0, REPLICA_ID_BYTES));
}

/** [ID3] */
export function deriveKeyId(hash: Hash, roomId: RoomId, name: KeyName): KeyId {
  const digest = hash(concatBytes(utf8ToBytes('mangrove:key:1'), idToBytes(roomId), keyNameToBytes(name)));
  return bytesToKeyId(digest.subarray(0, KEY_ID_BYTES));
}

/** [FL1] The key of a room's floors: a kind of its own, without a name. */
export function deriveFloorKeyId(hash: Hash, roomId: RoomId): KeyId {
  const digest = hash(concatBytes(utf8ToBytes('mangrove:key:1'), idToBytes(roomId), Uint8Array.of(FLOOR_KIND)));
  return bytesToKeyId(digest.subarray(0, KEY_ID_BYTES));
}

/** [ID5] The Yjs clientID that a replica may use for a nonce. */
export function deriveClientId(hash: Hash, roomId: RoomId, replica: ReplicaId, nonce: number): number {
  const encoder = domain('mangrove:client:1');
  encoding.writeUint8Array(encoder, idToBytes(roomId));
  encoding.writeUint8Array(encoder, idToBytes(replica));
  encoding.writeUint32BigEndian(encoder, nonce);
  const digest = hash(encoding.toUint8Array(encoder));
  return new DataView(digest.buffer, digest.byteOffset, 4).getUint32(0);
}

/** The bytes that begin every body and that key ids are hashed from [ID3]. */
export function keyNameToBytes(name: KeyName): Uint8Array {
  const encoder = encoding.createEncoder();
  writeKeyName(encoder, name);
  return encoding.toUint8Array(encoder);
}

export function writeKeyName(encoder: encoding.Encoder, name: KeyName): void {
  encoding.writeUint8(encoder, name.kind === 'document' ? 0 : 1);
  encoding.writeVarString(encoder, name.collection);
  encoding.writeVarString(encoder, name.id);
}

/** Throws `DELTA_MALFORMED` on an unknown kind or a name out of bounds. */
export function readKeyName(decoder: decoding.Decoder): KeyName {
  const kind = decoding.readUint8(decoder);
  const collection = bytesToUtf8(readBytes(decoder, defaultLimits.nameBytesMax));
  const id = bytesToUtf8(readBytes(decoder, defaultLimits.nameBytesMax));
  const name: KeyName = { kind: kind === 0 ? 'document' : 'record', collection, id };
  if (kind > 1 || !isKeyName(name)) throw new MangroveError('DELTA_MALFORMED', { reason: 'key name' });
  return name;
}

function isKeyName(name: KeyName): boolean {
  if (nameFault(name.id) !== undefined) return false;
  return name.kind === 'document' ? name.collection === '' : nameFault(name.collection) === undefined;
}

/** Throws `NAME_INVALID` unless the name has 1 to 512 UTF-8 bytes and no lone surrogate. */
export function assertName(
  what: 'room' | 'document' | 'collection' | 'record' | 'version',
  name: unknown,
): asserts name is string {
  const reason = typeof name === 'string' ? nameFault(name) : `a ${typeof name} is not a string`;
  if (reason !== undefined) throw new MangroveError('NAME_INVALID', { what, reason });
}

function nameFault(name: string): string | undefined {
  if (name.length === 0) return 'it is empty';
  if (/\p{Surrogate}/u.test(name)) return 'it holds half of a surrogate pair';
  const bytes = utf8ToBytes(name).length;
  return bytes > defaultLimits.nameBytesMax ? `${bytes} UTF-8 bytes are over ${defaultLimits.nameBytesMax}` : undefined;
}

function domain(text: string): encoding.Encoder {
  const encoder = encoding.createEncoder();
  encoding.writeUint8Array(encoder, utf8ToBytes(text));
  return encoder;
}
