import { recordPayloadToBytes } from '../../packages/protocol/src/body.js';
import { bytesToHex, concatBytes, hexToBytes } from '../../packages/protocol/src/bytes.js';
import { decompressBody } from '../../packages/protocol/src/compression.js';
import { keyNameToBytes } from '../../packages/protocol/src/ids.js';
import { valueToBytes } from '../../packages/protocol/src/value.js';
import { record } from './fixture.js';
import { codeOf } from './vectors.js';

const tags = ['home', 'shop', 'home', 'shop'];
const title = 'Milk, milk, milk and bread for the weekend, bread and milk, milk, milk';
const value = valueToBytes({ title, done: false, tags });
/** What `COMPRESSED_RECORD` stands for. */
export const plain = concatBytes(keyNameToBytes(record('t1')), recordPayloadToBytes({ value }));

/** Of `plain`, by zlib: streams are written down, as another version of an encoder may well write another one. */
const OWN_CODES = hexToBytes(
  '5d8b410a0231100455f01f439fe7e2357ff005e22132bd66d924239b010fe2df4510412f0d55546ff7e1e6631787cd03e69d4853ae838ac8d7817442f1462846f11bf487ce8a98a31209c7b92e2aedbb92bbc9656536997c9528943bb9b09b7ef43b687f2f3c5f',
);
const FIXED_CODES = hexToBytes(
  '63642dc94fc92f662a3164a8564ac9cf4b55b24a4bcc294ed5512a494c2f56b28a56cac8cf4d55d2512acec82f50d241e1c5ea28956496e4a42a5929f966e664eb28e4c24985c4bc1485a4a2d4c41485b4fc2285928c5485f2d4d4ecd4bc141da83048412e9a2ea55a00',
);
const LENGTH = Uint8Array.of(0x8f, 0x01);

/** A compressed body of a record, as its delta carries it; also in `deltas`. */
export const COMPRESSED_RECORD = concatBytes(LENGTH, OWN_CODES);

/** A stored block, of any length, not the last. */
const storedBlock = (bytes: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(0, bytes.length, 0, ~bytes.length & 255, 255), bytes);

/** Bodies with flag 1 and what they are plain, or the code with which they are refused [DL11]. */
export function makeCompressedVectors(): unknown {
  const valid = {
    'with codes of its own': COMPRESSED_RECORD,
    'with the fixed codes': concatBytes(LENGTH, FIXED_CODES),
  };
  const invalid = {
    nothing: new Uint8Array(),
    'a length alone': LENGTH,
    'a length of one less': concatBytes(Uint8Array.of(0x8e, 0x01), OWN_CODES),
    'a length of one more': concatBytes(Uint8Array.of(0x90, 0x01), OWN_CODES),
    'a length in a longer form': concatBytes(Uint8Array.of(0x8f, 0x81, 0x00), OWN_CODES),
    'a length over the limit': concatBytes(Uint8Array.of(0x81, 0x80, 0x80, 0x04), OWN_CODES),
    'a stream cut short': COMPRESSED_RECORD.subarray(0, -1),
    'a stream that is followed by a byte': concatBytes(COMPRESSED_RECORD, Uint8Array.of(0)),
    'two blocks where one may be': concatBytes(LENGTH, storedBlock(new Uint8Array()), OWN_CODES),
    'a stored body as long as the plain one': concatBytes(Uint8Array.of(5), Uint8Array.of(1, 0, 0, 255, 255)),
    'an unknown kind of block': concatBytes(LENGTH, Uint8Array.of(7)),
    'a plain body': plain,
  };
  return {
    valid: Object.entries(valid).map(([name, bytes]) => ({
      ...{ name, bytes: bytesToHex(bytes) },
      plain: bytesToHex(decompressBody(bytes)),
    })),
    invalid: Object.entries(invalid).map(([name, bytes]) => ({
      ...{ name, bytes: bytesToHex(bytes) },
      code: codeOf(() => decompressBody(bytes)),
    })),
  };
}
