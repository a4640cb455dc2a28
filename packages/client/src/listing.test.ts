import { isDeepStrictEqual } from 'node:util';
import { compareNewestFirst, type Hlc, type ReplicaId, type Value, valueToBytes } from '@mangrove/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listingToText, type Resolved, resolvedToEntry, textToEntries } from './listing.js';

const text = fc.string({ unit: 'binary', maxLength: 8 }).filter((value) => !/\p{Surrogate}/u.test(value));
const key = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'toJSON', '$', '$$', '$bytes', '$date', '1'));
const leaf: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  text,
  fc.constantFrom('"$', '"$date"', '\u2028'),
  fc.bigInt(),
  fc.uint8Array({ maxLength: 12 }),
  fc.date({ noInvalidDate: true }).map((date) => new Date(date.getTime() || 0)),
);
const plain = fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), text);
const valuesOf = (leaves: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc.letrec<{ value: Value }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaves,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;

const siblingsOf = (values: fc.Arbitrary<Value>) =>
  fc.record({
    value: fc.option(values, { nil: undefined }),
    replica: fc.constantFrom('00000000000000aa' as ReplicaId, 'ffffffffffffffff' as ReplicaId),
    writtenAt: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map((hlc) => hlc as Hlc),
  });

const recordsOf = (values: fc.Arbitrary<Value>): fc.Arbitrary<readonly (readonly [string, Resolved])[]> =>
  fc.array(
    fc.tuple(text, fc.array(siblingsOf(values), { minLength: 1, maxLength: 3 })).map(([id, written]) => {
      const siblings = written.map((sibling) => ({
        ...sibling,
        bytes: sibling.value === undefined ? new Uint8Array() : valueToBytes(sibling.value),
      }));
      siblings.sort(compareNewestFirst);
      return [id, { siblings, shown: siblings.length - 1 }] as const;
    }),
    { maxLength: 5 },
  );

test('[DL9] records of any values come out of a listing as they went in', () => {
  for (const values of [valuesOf(leaf), valuesOf(plain)])
    fc.assert(
      fc.property(recordsOf(values), (records) => {
        const expected = records.map(([id, resolved]) => [id, resolvedToEntry(resolved)]);
        // Vitest takes a key `constructor` for the type of what has it.
        expect(isDeepStrictEqual(textToEntries(listingToText(records)), expected)).toBe(true);
      }),
    );
});

test('[API] each reading has values of its own', () => {
  const value = { tags: ['a'] };
  const siblings = [
    { value, replica: '00000000000000aa' as ReplicaId, writtenAt: 1 as Hlc, bytes: valueToBytes(value) },
  ];
  const listing = listingToText([['x', { siblings, shown: 0 }]]);
  const [[, entry]] = textToEntries(listing) as unknown as [[string, { value: { tags: string[] } }]];
  entry.value.tags.push('b');
  expect(textToEntries(listing)[0]?.[1].value).toEqual({ tags: ['a'] });
});
