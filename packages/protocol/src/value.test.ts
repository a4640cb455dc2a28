import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToUtf8, utf8ToBytes } from './bytes.js';
import { isMangroveError } from './errors.js';
import { defaultLimits } from './limits.js';
import { bytesToValue, type Value, valueToBytes } from './value.js';

const encode = (value: unknown): string => bytesToUtf8(valueToBytes(value));
const decode = (text: string): Value => bytesToValue(utf8ToBytes(text));

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
  return 'none';
}

const text = fc.string({ unit: 'binary', maxLength: 8 }).filter((value) => !/\p{Surrogate}/u.test(value));
const key = fc.oneof(
  text,
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'toJSON',
    '$',
    '$$',
    '$bytes',
    '$date',
    '$map',
    '$x',
    '1',
    '10',
  ),
);
const leaf: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value || 0),
  fc.integer(),
  text,
  fc.bigInt(),
  fc.uint8Array({ maxLength: 12 }),
  fc.date({ noInvalidDate: true }).map((date) => new Date(date.getTime() || 0)),
);
const values: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(key, tie('value')), { maxLength: 4 })
      .map((entries) => Object.fromEntries(entries) as { [key: string]: Value }),
    fc
      .uniqueArray(fc.tuple(tie('value'), tie('value')), { maxLength: 3, selector: ([name]) => encode(name) })
      .map((entries) => new Map(entries)),
  ),
})).value;

/** The same value with keys, entries and holders made in another order. */
function shuffled(value: Value): Value {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (value instanceof Date) return new Date(value.getTime());
  if (Array.isArray(value)) return value.map(shuffled);
  if (value instanceof Map)
    return new Map([...value].reverse().map(([name, item]) => [shuffled(name), shuffled(item)]));
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, item]) => [name, shuffled(item)]),
  );
}

describe('value', () => {
  test('[DL9] decoding undoes encoding', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(bytesToValue(valueToBytes(value))).toEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  test('[DL9] equal values give equal bytes, in whatever order they were made', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(encode(shuffled(value))).toBe(encode(value));
      }),
      { numRuns: 500 },
    );
  });

  test('[DL9] the encoding of each type', () => {
    const cases: readonly (readonly [unknown, string])[] = [
      [null, 'null'],
      [true, 'true'],
      [-0, '0'],
      [1e21, '1e+21'],
      [0.1, '0.1'],
      [5e-324, '5e-324'],
      ['a"\n\u2028é😀', '"a\\"\\n\u2028é😀"'],
      [-12345678901234567890n, '{"$bigint":"-12345678901234567890"}'],
      [Uint8Array.of(0, 255), '{"$bytes":"AP8="}'],
      [new Date(-1), '{"$date":-1}'],
      [new Date(-0), '{"$date":0}'],
      [
        new Map<unknown, unknown>([
          ['b', 1],
          [2, [null]],
        ]),
        '{"$map":[["b",1],[2,[null]]]}',
      ],
      [new Map(), '{"$map":[]}'],
      [{ b: 1, a: [], 10: 2, 9: 3 }, '{"10":2,"9":3,"a":[],"b":1}'],
      [{}, '{}'],
      [[], '[]'],
      [{ $bytes: 'AP8=' }, '{"$$bytes":"AP8="}'],
      [{ $$: 1 }, '{"$$$":1}'],
      [{ $a: 1, $b: 2 }, '{"$a":1,"$b":2}'],
      [{ '😀': 1, '\uffff': 2 }, '{"😀":1,"\uffff":2}'],
    ];
    for (const [value, expected] of cases) {
      expect(encode(value)).toBe(expected);
      expect(encode(decode(expected))).toBe(expected);
    }
  });

  test('[DL9] -0 comes back as 0', () => {
    expect(Object.is(bytesToValue(valueToBytes(-0)), 0)).toBe(true);
    expect(Object.is((bytesToValue(valueToBytes([-0])) as number[])[0], 0)).toBe(true);
  });

  test('[DL9] __proto__ is a key like any other, and sets no prototype', () => {
    const value = JSON.parse('{"__proto__":{"admin":true},"a":{"__proto__":1}}') as Value;
    const decoded = bytesToValue(valueToBytes(value)) as { [key: string]: Value };
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect(Object.keys(decoded).sort()).toEqual(['__proto__', 'a']);
    expect((decoded as { admin?: boolean }).admin).toBeUndefined();
    expect(Object.keys(bytesToValue(valueToBytes(JSON.parse('{"__proto__":1}'))) as object)).toEqual(['__proto__']);
  });

  test('[DL9] what is not data is VALUE_INVALID', () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    const cyclicMap = new Map<unknown, unknown>();
    cyclicMap.set('self', cyclicMap);
    const wrong: readonly unknown[] = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      undefined,
      () => 1,
      Symbol('s'),
      [undefined],
      { a: undefined },
      // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested
      [1, , 2],
      new Array(3),
      cyclic,
      cyclicMap,
      new Date(Number.NaN),
      '\ud800',
      { '\udc00': 1 },
      new Map([['\ud800', 1]]),
      /r/,
      new Set([1]),
      new Uint16Array(1),
      new ArrayBuffer(1),
      new Error('e'),
      new (class Point {
        x = 1;
      })(),
      Object(1),
      Promise.resolve(1),
      { [Symbol('s')]: 1 },
      Object.defineProperty({}, 'hidden', { value: 1 }),
      Object.assign([1], { extra: 1 }),
      Object.assign(new Date(0), { extra: 1 }),
      Object.assign(new Map(), { extra: 1 }),
    ];
    for (const [i, value] of wrong.entries())
      expect(
        codeOf(() => valueToBytes(value)),
        `value ${i}`,
      ).toBe('VALUE_INVALID');
  });

  test('[DL9] a Map with two keys that are one in bytes is VALUE_INVALID', () => {
    expect(
      codeOf(() =>
        valueToBytes(
          new Map([
            [[1], 'a'],
            [[1], 'b'],
          ]),
        ),
      ),
    ).toBe('VALUE_INVALID');
    expect(
      codeOf(() =>
        valueToBytes(
          new Map([
            [new Date(5), 'a'],
            [new Date(5), 'b'],
          ]),
        ),
      ),
    ).toBe('VALUE_INVALID');
    expect(
      codeOf(() =>
        valueToBytes(
          new Map<unknown, unknown>([
            [1, 'a'],
            ['1', 'b'],
            [1n, 'c'],
          ]),
        ),
      ),
    ).toBe('none');
  });

  test('[DL9] an object without a prototype is plain data', () => {
    expect(encode(Object.assign(Object.create(null), { a: 1 }))).toBe('{"a":1}');
  });

  test('[DL9] depth 64 is taken, depth 65 is VALUE_INVALID, on both sides and however deep', () => {
    const nest = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
      let value: unknown = 1;
      for (let i = 0; i < depth; i++) value = wrap(value);
      return value;
    };
    const wraps: readonly ((inner: unknown) => unknown)[] = [
      (inner) => [inner],
      (inner) => ({ a: inner }),
      (inner) => ({ $a: inner }),
      (inner) => new Map([['k', inner]]),
      (inner) => new Map([[inner, 1]]),
    ];
    for (const [i, wrap] of wraps.entries()) {
      const deepest = nest(64, wrap);
      expect(bytesToValue(valueToBytes(deepest)), `wrap ${i}`).toEqual(deepest);
      expect(
        codeOf(() => valueToBytes(nest(65, wrap))),
        `wrap ${i}`,
      ).toBe('VALUE_INVALID');
    }
    for (const depth of [65, 10_000, 1_000_000]) {
      expect(codeOf(() => bytesToValue(utf8ToBytes(`${'['.repeat(depth)}1${']'.repeat(depth)}`), 4_000_000))).toBe(
        'VALUE_INVALID',
      );
      expect(codeOf(() => bytesToValue(utf8ToBytes(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`), 8_000_000))).toBe(
        'VALUE_INVALID',
      );
    }
  });

  test('[DL9] bytes that no value encodes to are VALUE_INVALID', () => {
    const wrong = [
      '',
      ' 1',
      '1 ',
      '01',
      '1.0',
      '1e2',
      '-0',
      '1e400',
      '[1e400]',
      'NaN',
      '"\\u0061"',
      '"\\ud800"',
      '{"\\ud800":1}',
      '"\\/"',
      '{"b":1,"a":2}',
      '{"a":1,"a":2}',
      '{"a":1,"a":1}',
      '{ "a":1}',
      '[1,]',
      '{"$bytes":"AP8"}',
      '{"$bytes":"AP9="}',
      '{"$bytes":"-_8="}',
      '{"$bytes":" AP8="}',
      '{"$bytes":1}',
      '{"$date":1.5}',
      '{"$date":-0}',
      '{"$date":8640000000000001}',
      '{"$date":"1"}',
      '{"$date":null}',
      '{"$bigint":"01"}',
      '{"$bigint":"-0"}',
      '{"$bigint":"0x1"}',
      '{"$bigint":""}',
      '{"$bigint":1}',
      '{"$map":[[1]]}',
      '{"$map":[[1,2,3]]}',
      '{"$map":{}}',
      '{"$map":[[2,1],[1,1]]}',
      '{"$map":[[1,1],[1,2]]}',
      '{"$map":[[[1],1],[[1],2]]}',
      '{"$unknown":1}',
      '{"$":1}',
      '\ufeff1',
    ];
    for (const bad of wrong)
      expect(
        codeOf(() => decode(bad)),
        bad,
      ).toBe('VALUE_INVALID');
    for (const bytes of [[0xff], [0x22, 0xed, 0xa0, 0x80, 0x22]])
      expect(codeOf(() => bytesToValue(Uint8Array.from(bytes)))).toBe('VALUE_INVALID');
  });

  test('[DL9] any text gives a value that encodes to it, or VALUE_INVALID', () => {
    const json = fc.oneof(
      fc.json({ maxDepth: 3 }),
      values.map((value) => encode(value)),
      fc
        .tuple(values, fc.nat(), fc.constantFrom('"', '$', '1', ' ', '{', '[', ',', '-', '\\'))
        .map(([value, at, patch]) => {
          const valid = encode(value);
          const i = at % (valid.length + 1);
          return valid.slice(0, i) + patch + valid.slice(i + 1);
        }),
    );
    fc.assert(
      fc.property(json, (candidate) => {
        let value: Value;
        try {
          value = decode(candidate);
        } catch (error) {
          expect(isMangroveError(error) && error.code).toBe('VALUE_INVALID');
          return;
        }
        // As bytes: text that was cut within a pair has no UTF-8 of its own.
        expect(valueToBytes(value)).toEqual(utf8ToBytes(candidate));
      }),
      { numRuns: 2_000 },
    );
  });

  test('[DL8] a value is at most valueBytesMax, counted in UTF-8', () => {
    const { valueBytesMax } = defaultLimits;
    expect(codeOf(() => valueToBytes('x'.repeat(valueBytesMax - 2)))).toBe('none');
    expect(codeOf(() => valueToBytes('x'.repeat(valueBytesMax - 1)))).toBe('VALUE_TOO_LARGE');
    expect(codeOf(() => valueToBytes('ä'.repeat(valueBytesMax / 2)))).toBe('VALUE_TOO_LARGE');
    expect(codeOf(() => valueToBytes('abc', 4))).toBe('VALUE_TOO_LARGE');
  });
});
