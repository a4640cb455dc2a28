import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToUtf8, concatBytes, equalBytes, utf8ToBytes } from '../bytes.js';
import { decodeRow, encode, readU8 } from '../codec.js';
import { MangroveError } from '../errors.js';
import { deriveKeyId, idToBytes, type KeyName } from '../ids.js';
import type { RoomRef } from './room-ref.js';

/** Throws `INTERNAL`. */
export function nameOfKey(key: Uint8Array): KeyName {
  return decodeRow('names', key, (decoder) => {
    const kind = readU8(decoder) === 0 ? 'document' : 'record';
    const collection = decoding.readVarString(decoder);
    return { kind, collection, id: bytesToUtf8(decoding.readTailAsUint8Array(decoder)) };
  });
}

/** Throws `INTERNAL` where a row of `names` names another key than its own. */
export function assertNames({ hash, roomId }: RoomRef, key: Uint8Array, row: Uint8Array): void {
  if (!equalBytes(row, idToBytes(deriveKeyId(hash, roomId, nameOfKey(key)))))
    throw new MangroveError('INTERNAL', { reason: 'a row of names on disk names another key' });
}

/** The key of the `names` table; ids of one collection sort by their UTF-8 bytes. */
export function nameKey(name: KeyName): Uint8Array {
  return concatBytes(collectionPrefix(name.kind, name.collection), utf8ToBytes(name.id));
}

export function collectionPrefix(kind: KeyName['kind'], collection: string): Uint8Array {
  return encode((encoder) => {
    encoding.writeUint8(encoder, kind === 'document' ? 0 : 1);
    encoding.writeVarString(encoder, collection);
  });
}
