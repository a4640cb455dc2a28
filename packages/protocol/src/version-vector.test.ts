import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { replicaOf } from '../../../test/interop/fixture.js';
import { isAtLeast, mergeVectors, reaches, type VersionVector } from './version-vector.js';

const replicas = [0, 1, 2, 3].map(replicaOf);
const vectors: fc.Arbitrary<VersionVector> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...replicas), fc.integer({ min: 1, max: 9 })), { selector: ([id]) => id })
  .map((entries) => new Map(entries));

describe('version vector', () => {
  test('[SY3] merging is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(vectors, vectors, vectors, (a, b, c) => {
        expect(mergeVectors(a, b)).toEqual(mergeVectors(b, a));
        expect(mergeVectors(mergeVectors(a, b), c)).toEqual(mergeVectors(a, mergeVectors(b, c)));
        expect(mergeVectors(a, a)).toEqual(a);
      }),
    );
  });

  test('[SY3] the merge is the least vector at or above both', () => {
    fc.assert(
      fc.property(vectors, vectors, vectors, (a, b, c) => {
        const merged = mergeVectors(a, b);
        expect(isAtLeast(merged, a) && isAtLeast(merged, b)).toBe(true);
        if (isAtLeast(c, a) && isAtLeast(c, b)) expect(isAtLeast(c, merged)).toBe(true);
        if (isAtLeast(a, b)) expect(merged).toEqual(a);
      }),
    );
  });

  test('[SY3] a merge changes neither of its parts', () => {
    const a = new Map([[replicas[0] as never, 1]]);
    mergeVectors(a, new Map([[replicas[0] as never, 2]]));
    expect([...a.values()]).toEqual([1]);
  });

  test('[SY3] a vector reaches a dot at or below its entry, and none of a replica it does not name', () => {
    const [a, b] = replicas as [never, never];
    const vector = new Map([[a, 3]]);
    expect([1, 3, 4].map((seq) => reaches(vector, { replica: a, seq }))).toEqual([true, true, false]);
    expect(reaches(vector, { replica: b, seq: 1 })).toBe(false);
  });
});
