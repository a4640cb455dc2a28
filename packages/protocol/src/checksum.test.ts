import { expect, test } from 'vitest';
import { utf8ToBytes } from './bytes.js';
import { checksum } from './checksum.js';

test('[AE2] the checksum is that of the standard, however its bytes are parted', () => {
  expect(checksum(utf8ToBytes('123456789'))).toBe(0xcbf43926);
  expect(checksum(utf8ToBytes('1234'), new Uint8Array(), utf8ToBytes('56789'))).toBe(0xcbf43926);
  expect(checksum()).toBe(0);
});
