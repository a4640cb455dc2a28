import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { deflateSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { makeRandom } from '../../../test/support/random.js';
import { concatBytes, equalBytes, utf8ToBytes } from './bytes.js';
import { inflate } from './inflate.js';

const WORDS = ['tide', 'root', 'mangrove ', 'salt', 'leaf\n', 'a', '", "title": "'];

/** Bytes of a kind: runs, text of few words, or noise. */
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 3_000 }),
  fc.array(fc.constantFrom(...WORDS), { maxLength: 2_000 }).map((words) => utf8ToBytes(words.join(''))),
  fc
    .array(fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 700 })), { maxLength: 60 })
    .map((runs) => concatBytes(...runs.map(([byte, times]) => new Uint8Array(times).fill(byte)))),
);
const writers: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  fflate: (bytes) => deflateSync(bytes),
  'fflate, its best': (bytes) => deflateSync(bytes, { level: 9 }),
  zlib: (bytes) => deflateRawSync(bytes),
  'zlib, codes that are given': (bytes) => deflateRawSync(bytes, { strategy: constants.Z_FIXED }),
  'zlib, no runs': (bytes) => deflateRawSync(bytes, { strategy: constants.Z_HUFFMAN_ONLY }),
  'zlib, stored': (bytes) => deflateRawSync(bytes, { level: 0 }),
};

/** Bits, the first one lowest. */
function bits(...fields: readonly (readonly [value: number, count: number])[]): Uint8Array {
  const all = fields.flatMap(([value, count]) => Array.from({ length: count }, (_, i) => (value >> i) & 1));
  return Uint8Array.from({ length: Math.ceil(all.length / 8) }, (_, i) =>
    all.slice(8 * i, 8 * i + 8).reduce((byte, bit, at) => byte | (bit << at), 0),
  );
}

describe('inflate', () => {
  test.each(Object.entries(writers))('[DL11] what %s writes is read as it was', (_, write) => {
    fc.assert(
      fc.property(contents, (plain) => {
        expect(inflate(write(plain), plain.length)).toEqual(plain);
      }),
      { numRuns: 150 },
    );
  });

  test('[DL11] a megabyte of many blocks and far runs is read as it was', () => {
    const random = makeRandom(7);
    const piece = () => utf8ToBytes(Array.from({ length: 4_000 }, () => WORDS[random.below(WORDS.length)]).join(''));
    const pieces = Array.from({ length: 8 }, piece);
    const plain = concatBytes(...Array.from({ length: 60 }, () => pieces[random.below(8)] as Uint8Array));
    for (const [name, write] of Object.entries(writers))
      expect(equalBytes(inflate(write(plain), plain.length), plain), name).toBe(true);
  });

  test('[DL11] a stream of another length, cut short or followed by anything is refused', () => {
    const plain = utf8ToBytes('all that the tide brings, all that the tide takes');
    for (const write of Object.values(writers)) {
      const stream = write(plain);
      for (let length = 0; length < stream.length; length++)
        expect(() => inflate(stream.subarray(0, length), plain.length), `${length}`).toThrow();
      expect(() => inflate(concatBytes(stream, new Uint8Array(1)), plain.length)).toThrow('after the end');
      expect(() => inflate(stream, plain.length - 1)).toThrow('more bytes');
      expect(() => inflate(stream, plain.length + 1)).toThrow('fewer bytes');
    }
  });

  test('[DL11] what stands for more than it says is left where it does, whatever would follow', () => {
    const bomb = deflateSync(new Uint8Array(2 ** 26), { level: 9 });
    const before = process.memoryUsage().arrayBuffers;
    expect(() => inflate(bomb, 1_000)).toThrow('more bytes');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000);
    // Nothing behind the first thousand bytes was looked at: a stream that breaks off there is found to be too long all the same.
    expect(() => inflate(bomb.subarray(0, 200), 1_000)).toThrow('more bytes');
  });

  test('[DL11] more blocks than one for each 1,024 bytes and one are refused', () => {
    const plain = new Uint8Array(2_047).fill(1);
    const stored = (bytes: Uint8Array, isLast: boolean) =>
      concatBytes(Uint8Array.of(isLast ? 1 : 0, bytes.length, 0, ~bytes.length & 255, 255), bytes);
    const inTwo = concatBytes(stored(plain.subarray(0, 200), false), deflateSync(plain.subarray(200)));
    expect(inflate(inTwo, plain.length)).toEqual(plain);
    expect(() => inflate(concatBytes(stored(new Uint8Array(), false), inTwo), plain.length)).toThrow('blocks');
  });

  test.each([
    ['an unknown kind of block', bits([1, 1], [3, 2])],
    ['a stored block of two lengths', Uint8Array.of(1, 5, 0, 5, 0, 1, 2, 3, 4, 5)],
    ['a run from before the beginning', bits([1, 1], [1, 2], [0b1000000, 7], [0, 5])],
    ['an unknown symbol', bits([1, 1], [1, 2], [0b01100011, 8], [0, 13])],
    ['more codes than there can be', bits([1, 1], [2, 2], [0, 5], [0, 5], [0, 4], [1, 3], [1, 3], [1, 3])],
    ['fewer codes than there must be', bits([1, 1], [2, 2], [0, 5], [0, 5], [0, 4], [2, 3], [2, 3], [0, 3], [0, 3])],
    [
      'a block without an end',
      // Two codes of lengths, for 1 and for 18: a symbol 0, then nothing for the rest, and a distance.
      bits(
        ...([
          [1, 1],
          [2, 2],
          [0, 5],
          [0, 5],
          [14, 4],
          [0, 3],
          [0, 3],
          [1, 3],
        ] as const),
        ...Array.from({ length: 14 }, () => [0, 3] as const),
        ...([
          [1, 3],
          [0, 1],
          [1, 1],
          [127, 7],
          [1, 1],
          [107, 7],
          [0, 1],
        ] as const),
      ),
    ],
  ])('[DL11] %s is refused', (reason, stream) => {
    expect(() => inflate(stream, 10)).toThrow(reason);
  });

  test('[DL11] any bytes give as many as were announced, or an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(300), (bytes, plainBytes) => {
        let read: Uint8Array | undefined;
        try {
          read = inflate(bytes, plainBytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect(error).not.toBeInstanceOf(RangeError);
          expect(error).not.toBeInstanceOf(TypeError);
        }
        if (read !== undefined) expect(read).toHaveLength(plainBytes);
      }),
      { numRuns: 5_000 },
    );
  });
});
