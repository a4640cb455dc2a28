import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { replicaOf, stamp } from '../../../test/interop/fixture.js';
import { builtInResolvers, compareNewestFirst, type SiblingValue } from './resolve.js';

const [low, high] = [replicaOf(0), replicaOf(1)].sort() as [never, never];

interface Case {
  readonly writtenAt: number;
  readonly isHigh: boolean;
  readonly isDelete: boolean;
}

/** Few stamps and two replicas, so that ties are the rule; the bytes tell all siblings apart. */
const siblings: fc.Arbitrary<readonly SiblingValue<string>[]> = fc
  .array(fc.record({ writtenAt: fc.integer({ min: 1, max: 3 }), isHigh: fc.boolean(), isDelete: fc.boolean() }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((cases) =>
    cases.map(({ writtenAt, isHigh, isDelete }: Case, i) => ({
      value: isDelete ? undefined : `value ${i}`,
      replica: isHigh ? high : low,
      writtenAt: stamp(writtenAt),
      bytes: Uint8Array.of(i),
    })),
  );
const shuffles = siblings.chain((list) =>
  fc.tuple(fc.constant(list), fc.shuffledSubarray([...list], { minLength: list.length })),
);
const sibling = (value: string | undefined, writtenAt: number, replica = low, byte = 0): SiblingValue<string> => ({
  value,
  replica,
  writtenAt: stamp(writtenAt),
  bytes: Uint8Array.of(byte),
});

describe('resolve', () => {
  test('[CX2] a resolver gives one result whatever the order of siblings, and leaves them as they are', () => {
    fc.assert(
      fc.property(shuffles, ([list, other]) => {
        const before = [...other];
        for (const resolver of Object.values(builtInResolvers)) expect(resolver(other)).toBe(resolver(list));
        expect(other).toEqual(before);
        expect([...other].sort(compareNewestFirst)).toEqual([...list].sort(compareNewestFirst));
      }),
    );
  });

  test('[CX2] newest first is a total order of siblings that differ', () => {
    fc.assert(
      fc.property(siblings, (list) => {
        for (const a of list)
          for (const b of list) {
            const order = Math.sign(compareNewestFirst(a, b));
            expect(order).toBe(0 - Math.sign(compareNewestFirst(b, a)));
            expect(order === 0).toBe(a === b);
          }
      }),
    );
  });

  test('[CX2] the newest wins, then the higher replica, then the higher bytes', () => {
    const { lww } = builtInResolvers;
    expect(lww([sibling('old', 1, high), sibling('new', 2)])).toBe('new');
    expect(lww([sibling('high', 1, high), sibling('low', 1)])).toBe('high');
    expect(lww([sibling('a', 1, low, 1), sibling('b', 1, low, 2)])).toBe('b');
    expect(lww([])).toBeUndefined();
  });

  test('[CX2] a delete wins with lww when it is newest; siblings keeps the newest value beside it', () => {
    const list = [sibling('old', 1), sibling('kept', 2), sibling(undefined, 3)];
    expect(builtInResolvers.lww(list)).toBeUndefined();
    expect(builtInResolvers.siblings(list)).toBe('kept');
    expect(builtInResolvers.siblings([sibling(undefined, 3)])).toBeUndefined();
  });
});
