import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bytesToHex,
  bytesToU64,
  bytesToUtf8,
  compareBytes,
  concatBytes,
  equalBytes,
  hexToBytes,
  prefixEnd,
  u64ToBytes,
  utf8ToBytes,
} from './bytes.js';

const bytes = fc.uint8Array({ maxLength: 20 });
const safe = fc.maxSafeNat();

describe('bytes', () => {
  test('hex is undone, lowercase and even', () => {
    fc.assert(fc.property(bytes, (value) => equalBytes(hexToBytes(bytesToHex(value)), value)));
    expect(bytesToHex(Uint8Array.of(0, 171, 255))).toBe('00abff');
    for (const wrong of ['AB', 'abc', 'zz', '0x', 'a ']) expect(() => hexToBytes(wrong)).toThrow('not lowercase hex');
  });

  test('text is undone; bytes that are no UTF-8 throw, a byte order mark stays', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => bytesToUtf8(utf8ToBytes(text)) === text));
    expect(bytesToUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
    expect(() => bytesToUtf8(Uint8Array.of(0xff))).toThrow(TypeError);
    expect(() => bytesToUtf8(Uint8Array.of(0xed, 0xa0, 0x80))).toThrow(TypeError);
  });

  test('a u64 sorts as its number and is undone', () => {
    fc.assert(
      fc.property(safe, safe, (a, b) => {
        expect(bytesToU64(u64ToBytes(a))).toBe(a);
        expect(Math.sign(compareBytes(u64ToBytes(a), u64ToBytes(b)))).toBe(Math.sign(a - b));
      }),
    );
    expect(bytesToHex(u64ToBytes(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff');
    expect(bytesToU64(concatBytes(Uint8Array.of(9), u64ToBytes(7)), 1)).toBe(7);
  });

  test('the end of a prefix lies above all that begins with it, and above nothing else', () => {
    fc.assert(
      fc.property(bytes, bytes, bytes, (prefix, rest, other) => {
        const end = prefixEnd(prefix);
        const inside = (key: Uint8Array) =>
          compareBytes(key, prefix) >= 0 && (end === undefined || compareBytes(key, end) < 0);
        expect(inside(concatBytes(prefix, rest))).toBe(true);
        expect(inside(other)).toBe(equalBytes(other.subarray(0, prefix.length), prefix));
      }),
    );
    expect(prefixEnd(Uint8Array.of(255, 255))).toBeUndefined();
  });
});
