import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { document, record } from '../../../test/interop/fixture.js';
import { bodyToBytes, bytesToBody, bytesToRecordPayload, recordPayloadToBytes } from './body.js';
import { concatBytes, utf8ToBytes } from './bytes.js';
import { keyNameToBytes } from './ids.js';
import { defaultLimits } from './limits.js';
import { bytesToValue, valueToBytes } from './value.js';

const malformed = expect.objectContaining({ code: 'DELTA_MALFORMED' });
const payloads = fc.uint8Array({ maxLength: 100 });

describe('body', () => {
  test('[DL5] a body is the key name and then the payload, which may be empty', () => {
    const body = { name: record('a'), payload: Uint8Array.of(7, 8) };
    expect(bodyToBytes(body)).toEqual(concatBytes(keyNameToBytes(record('a')), Uint8Array.of(7, 8)));
    fc.assert(
      fc.property(payloads, fc.boolean(), (payload, isRecord) => {
        const name = isRecord ? record('r') : document('d');
        expect(bytesToBody(bodyToBytes({ name, payload }))).toEqual({ name, payload });
      }),
    );
  });

  test('[DL5] any bytes give a body or DELTA_MALFORMED, also as a view into a larger buffer', () => {
    const valid = bodyToBytes({ name: record('abc'), payload: new Uint8Array() });
    for (let length = 0; length < valid.length; length++)
      expect(() => bytesToBody(valid.subarray(0, length))).toThrow(malformed);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const { name, payload } = bytesToBody(bytes);
          expect(payload.length).toBeLessThan(bytes.length);
          expect(name.id.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toEqual(malformed);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('[DL5] a record is 0 and its value, or 1, its base and its value', () => {
    expect(recordPayloadToBytes({ value: Uint8Array.of(5) })).toEqual(Uint8Array.of(0, 5));
    expect(recordPayloadToBytes({ value: Uint8Array.of(5), base: Uint8Array.of(6, 7) })).toEqual(
      Uint8Array.of(1, 2, 6, 7, 5),
    );
    fc.assert(
      fc.property(payloads, fc.option(payloads, { nil: undefined }), (value, base) => {
        const payload = base === undefined ? { value } : { value, base };
        expect(bytesToRecordPayload(recordPayloadToBytes(payload))).toEqual(payload);
      }),
    );
  });

  test('[DL5] scenario 18: a body carries the base that it was written over', () => {
    const payload = { base: valueToBytes({ a: 1 }), value: valueToBytes({ a: 2 }) };
    const { payload: bytes } = bytesToBody(bodyToBytes({ name: record('k'), payload: recordPayloadToBytes(payload) }));
    expect(bytesToRecordPayload(bytes)).toEqual(payload);
  });

  test('[DL8] a value that is larger than any replica writes is VALUE_TOO_LARGE before it is looked at', () => {
    const { valueBytesMax } = defaultLimits;
    const sized = (length: number) => recordPayloadToBytes({ value: new Uint8Array(length) });
    expect(bytesToRecordPayload(sized(valueBytesMax)).value).toHaveLength(valueBytesMax);
    const tooLarge = expect.objectContaining({ code: 'VALUE_TOO_LARGE' });
    expect(() => bytesToRecordPayload(sized(valueBytesMax + 1))).toThrow(tooLarge);
    // Read to its end, this number would keep a processor busy for seconds.
    expect(() => bytesToValue(utf8ToBytes(`{"$bigint":"${'9'.repeat(8_000_000)}"}`))).toThrow(tooLarge);
  });

  test('[DL5] an unknown form, a base that is cut short and one over the limit are DELTA_MALFORMED', () => {
    const { valueBytesMax } = defaultLimits;
    const tooLong = recordPayloadToBytes({ value: utf8ToBytes('1'), base: new Uint8Array(valueBytesMax + 1) });
    for (const bytes of [Uint8Array.of(), Uint8Array.of(2, 1), Uint8Array.of(1, 3, 1, 2), Uint8Array.of(1), tooLong])
      expect(() => bytesToRecordPayload(bytes)).toThrow(malformed);
  });
});
