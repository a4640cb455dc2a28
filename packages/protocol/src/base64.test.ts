import fc from 'fast-check';
import { expect, test } from 'vitest';
import { base64ToBytes, bytesToBase64 } from './base64.js';

test('[DL9] base64 is what Node writes, and comes back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = bytesToBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString('base64'));
      expect(base64ToBytes(text)).toEqual(bytes);
    }),
  );
});

test.each(['A', 'AA', 'AAA', 'A===', 'AB==', 'AAB=', 'AA=A', '=AAA', 'AA-_', 'AAAA\n', 'ÄAAA', '===='])(
  '[DL9] %j is refused: one content, one encoding',
  (text) => {
    expect(base64ToBytes(text)).toBeUndefined();
  },
);
