import { deflateSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { document, record } from '../../../test/interop/fixture.js';
import { bodyOfDelta, bodyToBytes, checkpointPayloadToBytes, packBody, updateOfDelta } from './body.js';
import { concatBytes, utf8ToBytes } from './bytes.js';
import { encode } from './codec.js';
import { compressBody, decompressBody } from './compression.js';
import { FLAG } from './delta.js';
import { defaultLimits } from './limits.js';
import * as encoding from 'lib0/encoding';

const { bodyBytesMax, compressBytesMin } = defaultLimits;
const malformed = expect.objectContaining({ code: 'DELTA_MALFORMED' });
const deflate = (bytes: Uint8Array): Uint8Array => deflateSync(bytes);
const stored = (plainBytes: number, stream: Uint8Array): Uint8Array =>
  encode((encoder) => {
    encoding.writeVarUint(encoder, plainBytes);
    encoding.writeUint8Array(encoder, stream);
  });

describe('compressed bodies', () => {
  test('[DL11] a body is compressed from the threshold on, where this saves an eighth', () => {
    const name = record('a');
    const at = (length: number) =>
      packBody(
        { name, payload: new Uint8Array(length - bodyToBytes({ name, payload: new Uint8Array() }).length) },
        deflate,
      );
    expect(at(compressBytesMin - 1).flags).toBe(0);
    expect(at(compressBytesMin).flags).toBe(FLAG.compressed);
    // Streams of a given length tell where saving begins: the length before them takes 2 bytes.
    const plain = new Uint8Array(800);
    expect(compressBody(plain, () => new Uint8Array(698))).toHaveLength(700);
    expect(compressBody(plain, () => new Uint8Array(699))).toBeUndefined();
  });

  test('[DL5, DL11] what is packed is read as it was, with the flag and without', () => {
    for (const text of ['short', 'long '.repeat(200)]) {
      const body = { name: document('notes'), payload: utf8ToBytes(text) };
      const { bytes, flags } = packBody(body, deflate);
      expect(bodyOfDelta({ flags: flags | FLAG.import, body: bytes })).toEqual(body);
      expect(updateOfDelta({ flags, body: bytes })).toEqual(body.payload);
    }
    const update = utf8ToBytes('merged '.repeat(100));
    const payload = checkpointPayloadToBytes({ coverage: new Uint8Array(32), update });
    const { bytes, flags } = packBody({ name: document('notes'), payload }, deflate);
    expect(flags).toBe(FLAG.compressed);
    expect(updateOfDelta({ flags: flags | FLAG.checkpoint, body: bytes })).toEqual(update);
  });

  test('[DL8] a plain body over the limit is BODY_TOO_LARGE, however short it would be stored', () => {
    const body = { name: record('a'), payload: new Uint8Array(bodyBytesMax) };
    expect(() => packBody(body, deflate)).toThrow(expect.objectContaining({ code: 'BODY_TOO_LARGE' }));
  });

  test('[DL11] a length over the limit, or not above what is stored, is refused before anything is allocated', () => {
    const bomb = deflate(new Uint8Array(bodyBytesMax + 1));
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decompressBody(stored(bodyBytesMax + 1, bomb))).toThrow(malformed);
    expect(() => decompressBody(stored(2 ** 53 - 1, bomb))).toThrow(malformed);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000);
    expect(decompressBody(stored(bodyBytesMax, deflate(new Uint8Array(bodyBytesMax))))).toHaveLength(bodyBytesMax);
    const noise = Uint8Array.from({ length: 100 }, (_, i) => (i * 167) ^ (i >> 1));
    const longer = stored(noise.length, deflate(noise));
    expect(longer.length).toBeGreaterThanOrEqual(noise.length);
    expect(() => decompressBody(longer)).toThrow(malformed);
  });

  test('[DL11] another length, a length in a longer form, a stream cut short or followed by anything are DELTA_MALFORMED', () => {
    const plain = utf8ToBytes('tide '.repeat(100));
    const good = stored(plain.length, deflate(plain));
    expect(decompressBody(good)).toEqual(plain);
    const cases = [
      stored(plain.length - 1, deflate(plain)),
      stored(plain.length + 1, deflate(plain)),
      concatBytes(Uint8Array.of(0xf4, 0x83, 0), good.subarray(2)),
      good.subarray(0, -1),
      concatBytes(good, Uint8Array.of(0)),
      good.subarray(0, 2),
      good.subarray(0, 1),
      new Uint8Array(),
    ];
    for (const [i, bytes] of cases.entries()) expect(() => decompressBody(bytes), `${i}`).toThrow(malformed);
  });
});
