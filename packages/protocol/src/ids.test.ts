import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHash } from 'node:crypto';
import { document, publicKeyOf, record, replicaOf, room, sha256 } from '../../../test/interop/fixture.js';
import { concatBytes, hexToBytes, utf8ToBytes } from './bytes.js';
import { decode } from './codec.js';
import { isMangroveError } from './errors.js';
import {
  assertName,
  byteToRoomConfig,
  deriveClientId,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  keyNameToBytes,
  readKeyName,
  roomConfigToByte,
} from './ids.js';

const hex = (...parts: readonly Uint8Array[]): string =>
  createHash('sha256')
    .update(concatBytes(...parts))
    .digest('hex');
const text = (value: string): Uint8Array => utf8ToBytes(value);
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
  return 'none';
};

describe('ids', () => {
  test('[ID1] a room id is a hash of its name and its configuration, byte for byte', () => {
    const name = 'näme';
    const config = { history: 'full', encrypted: true } as const;
    expect(deriveRoomId(sha256, name, config)).toBe(
      hex(text('mangrove:room:1'), Uint8Array.of(5), text(name), Uint8Array.of(3)),
    );
    const ids = (['current', 'full'] as const).flatMap((history) =>
      [false, true].map((encrypted) => deriveRoomId(sha256, name, { history, encrypted })),
    );
    expect(new Set(ids).size).toBe(4);
  });

  test('[ID1] bit 0 is history full, bit 1 is encrypted, the others are unknown', () => {
    for (let byte = 0; byte < 256; byte++) {
      const config = byteToRoomConfig(byte);
      if (byte > 3) expect(config).toBeUndefined();
      else expect(roomConfigToByte(config as NonNullable<typeof config>)).toBe(byte);
    }
    expect(byteToRoomConfig(1)).toEqual({ history: 'full', encrypted: false });
    expect(byteToRoomConfig(2)).toEqual({ history: 'current', encrypted: true });
  });

  test('[ID2] a replica id is 8 bytes of a hash over room and key: one key is another replica elsewhere', () => {
    const key = publicKeyOf(1);
    const id = hex(text('mangrove:replica:1'), hexToBytes(room.roomId), key).slice(0, 16);
    expect(deriveReplicaId(sha256, room.roomId, key)).toBe(id);
    const other = deriveRoomId(sha256, 'other', { history: 'current', encrypted: false });
    expect(deriveReplicaId(sha256, other, key)).not.toBe(id);
  });

  test('[ID3] a key id is 16 bytes of a hash over room and key name', () => {
    const bytes = concatBytes(Uint8Array.of(1, 5), text('todos'), Uint8Array.of(1), text('a'));
    expect(keyNameToBytes(record('a'))).toEqual(bytes);
    expect(deriveKeyId(sha256, room.roomId, record('a'))).toBe(
      hex(text('mangrove:key:1'), hexToBytes(room.roomId), bytes).slice(0, 32),
    );
    expect(keyNameToBytes(document('d'))).toEqual(concatBytes(Uint8Array.of(0, 0, 1), text('d')));
  });

  test('[ID3] a collection and an id cannot be shifted into one another', () => {
    const names = [
      record('a'),
      { kind: 'record', collection: 'todosa', id: 'a' } as const,
      { kind: 'record', collection: 'todo', id: 'sa' } as const,
      document('a'),
    ];
    expect(new Set(names.map((name) => deriveKeyId(sha256, room.roomId, name))).size).toBe(4);
  });

  test('[ID3] names hold 1 to 512 UTF-8 bytes and no half of a surrogate pair', () => {
    for (const good of ['a', 'ä'.repeat(256), '😀'.repeat(128), 'x'.repeat(512), '\0', '__proto__'])
      expect(() => assertName('record', good)).not.toThrow();
    for (const bad of ['', 'x'.repeat(513), 'ä'.repeat(257), '\ud800', 'a\udc00b', 7, undefined, null])
      expect(
        codeOf(() => assertName('record', bad)),
        String(bad),
      ).toBe('NAME_INVALID');
    expect(codeOf(() => deriveRoomId(sha256, '', { history: 'full', encrypted: false }))).toBe('NAME_INVALID');
  });

  test('[ID3] a key name is undone by reading; one out of bounds is DELTA_MALFORMED', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(name, name, fc.boolean(), (collection, id, isRecord) => {
        const key = isRecord ? ({ kind: 'record', collection, id } as const) : document(id);
        expect(decode(keyNameToBytes(key), 'DELTA_MALFORMED', readKeyName)).toEqual(key);
      }),
    );
    const raw = (kind: number, collection: string, id: string): Uint8Array =>
      concatBytes(
        Uint8Array.of(kind, collection.length),
        text(collection),
        id.length > 127 ? Uint8Array.of(0x80 | (id.length & 127), id.length >> 7) : Uint8Array.of(id.length),
        text(id),
      );
    const wrong = [raw(2, 'c', 'i'), raw(0, 'c', 'i'), raw(1, '', 'i'), raw(1, 'c', ''), raw(1, 'c', 'x'.repeat(513))];
    for (const bytes of [...wrong, Uint8Array.of(1, 1, 0xff, 1, 97), Uint8Array.of(), Uint8Array.of(1, 99, 97)])
      expect(codeOf(() => decode(bytes, 'DELTA_MALFORMED', readKeyName))).toBe('DELTA_MALFORMED');
  });

  test('[ID4] ids are lowercase hex of fixed length', () => {
    expect(room.roomId).toMatch(/^[0-9a-f]{64}$/);
    expect(replicaOf(0)).toMatch(/^[0-9a-f]{16}$/);
    expect(deriveKeyId(sha256, room.roomId, record('a'))).toMatch(/^[0-9a-f]{32}$/);
  });

  test('[ID5] a clientID is the first 4 bytes of a hash over room, replica and nonce, big endian', () => {
    const nonce = 0x01020304;
    const expected = hex(
      text('mangrove:client:1'),
      hexToBytes(room.roomId),
      hexToBytes(replicaOf(0)),
      Uint8Array.of(1, 2, 3, 4),
    ).slice(0, 8);
    expect(deriveClientId(sha256, room.roomId, replicaOf(0), nonce)).toBe(Number.parseInt(expected, 16));
    expect(deriveClientId(sha256, room.roomId, replicaOf(1), nonce)).not.toBe(Number.parseInt(expected, 16));
  });
});
