import * as encoding from 'lib0/encoding';
import { concatBytes, utf8ToBytes } from '../bytes.js';
import { encode } from '../codec.js';
import type { KeyName } from '../ids.js';

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
