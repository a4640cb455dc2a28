import { describe, expect, test } from 'vitest';
import { asAsked } from './as-asked.js';

const key = (byte: number): Uint8Array => Uint8Array.of(byte);
const ask = (keys: readonly number[], range: { from: number; to?: number; reverse?: boolean }) =>
  asAsked(
    keys.map(key),
    { from: key(range.from), to: range.to === undefined ? undefined : key(range.to), reverse: range.reverse },
    (one) => one,
  );

describe('[JS8] what a database gives for a range', () => {
  test.each([
    [[], { from: 2 }],
    [[2, 3, 5], { from: 2 }],
    [[2, 3], { from: 2, to: 4 }],
    [[3, 2], { from: 2, to: 4, reverse: true }],
  ])('%j for %j is what was asked for', (keys, range) => {
    expect(ask(keys, range)).toEqual(keys.map(key));
  });

  test.each([
    ['a row below the range, which whoever goes on after it would be given for ever', [1], { from: 2 }],
    ['a row above it', [2, 4], { from: 2, to: 4 }],
    ['rows out of order', [2, 5, 3, 6], { from: 2 }],
    ['a row twice', [2, 2], { from: 2 }],
    ['rows out of order from behind', [3, 4], { from: 2, reverse: true }],
  ])('%s: it is broken', (_, keys, range) => {
    expect(() => ask(keys, range)).toThrow(
      expect.objectContaining({ code: 'STORAGE_UNAVAILABLE', facts: expect.objectContaining({ failure: 'broken' }) }),
    );
  });
});
