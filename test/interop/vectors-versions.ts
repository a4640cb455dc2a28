import { recordPayloadToBytes } from '../../packages/protocol/src/body.js';
import { bytesToHex, concatBytes, utf8ToBytes } from '../../packages/protocol/src/bytes.js';
import { type Value, valueToBytes } from '../../packages/protocol/src/value.js';
import {
  packVersion,
  VERSION_PARTS,
  versionPartId,
  versionPrefix,
  versionRowToValue,
  VERSIONS,
} from '../../packages/protocol/src/version.js';
import { document, keyIdOf, sha256 } from './fixture.js';
import { COMPRESSED_RECORD, plain } from './vectors-compressed.js';

const STATES = {
  nothing: new Uint8Array(),
  short: utf8ToBytes('a state'),
  compressed: plain,
  'in three parts': concatBytes(...Array.from({ length: 3_000 }, (_, i) => sha256(utf8ToBytes(`${i}`)))),
};

/** Versions and the records that they are [VS1, VS2]. */
export function makeVersionVectors(): unknown {
  const keyId = keyIdOf(document('notes'));
  return Object.entries(STATES).map(([name, state], n) => {
    // The stream is written down, as another version of an encoder may well write another one.
    const deflate = (bytes: Uint8Array): Uint8Array => (state === plain ? COMPRESSED_RECORD.subarray(2) : bytes);
    const { row, parts } = packVersion(sha256, keyId, state, deflate);
    const id = `018bcfe56800${n.toString(16).padStart(8, '0')}`;
    const value = versionRowToValue({ ...row, at: 1_700_000_000_000, kind: 'named', name });
    return {
      ...{ name, keyId, state: bytesToHex(state) },
      row: { collection: VERSIONS, id: `${versionPrefix(keyId)}${id}`, payload: payloadOf(value) },
      parts: parts.map((part, i) => ({
        ...{ collection: VERSION_PARTS, id: versionPartId(keyId, id, i) },
        payload: payloadOf(part),
      })),
    };
  });
}

const payloadOf = (value: Value): string => bytesToHex(recordPayloadToBytes({ value: valueToBytes(value) }));
