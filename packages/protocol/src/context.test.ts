import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, replicaOf, stamp } from '../../../test/interop/fixture.js';
import { historySteps, makeHistory } from '../../../test/interop/history.js';
import {
  type Context,
  compareStamped,
  contextOfHeld,
  covers,
  EMPTY_CONTEXT,
  type HeldDelta,
  highestEntry,
  isEmptyContext,
  joinContexts,
  makeContext,
} from './context.js';
import type { ReplicaId } from './ids.js';

const replicas = [0, 1, 2].map(replicaOf);
const [a, b] = replicas as [ReplicaId, ReplicaId];
const entry = fc.tuple(fc.constantFrom(...replicas), fc.integer({ min: 1, max: 12 }));
const contexts: fc.Arbitrary<Context> = fc
  .tuple(fc.uniqueArray(entry, { selector: ([replica]) => replica }), fc.array(entry, { maxLength: 5 }))
  .map(([stamps, dots]) => contextOf(stamps, dots));

/** Every dot that a context of these replicas can cover. */
const universe = replicas.flatMap((replica) => Array.from({ length: 14 }, (_, i) => ({ replica, hlc: stamp(i + 1) })));
const coveredBy = (context: Context): string[] =>
  universe.filter((dot) => covers(context, dot)).map(({ replica, hlc }) => `${replica} ${hlc}`);
const held = (replica: ReplicaId, hlc: number, prev: number, context = EMPTY_CONTEXT): HeldDelta => ({
  replica,
  hlc: stamp(hlc),
  prev: stamp(prev),
  context,
});

describe('context', () => {
  test('[CX1] a stamp covers what lies at or below it, a dot covers itself alone', () => {
    const context = contextOf([[a, 5]], [[a, 8]]);
    const coveredOfA = [1, 4, 5, 6, 7, 8, 9].filter((hlc) => covers(context, { replica: a, hlc: stamp(hlc) }));
    expect(coveredOfA).toEqual([1, 4, 5, 8]);
    expect(covers(context, { replica: b, hlc: stamp(1) })).toBe(false);
    expect(covers(EMPTY_CONTEXT, { replica: a, hlc: stamp(1) })).toBe(false);
    expect(covers(contextOf([], [[b, 3]]), { replica: b, hlc: stamp(2) })).toBe(false);
  });

  test('[CX1] however many dots there are, each covers itself and nothing else', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 30 }), (dots) => {
        const named = new Set(dots.map(([replica, hlc]) => `${replica} ${hlc}`));
        expect(new Set(coveredBy(contextOf([], dots)))).toEqual(named);
      }),
    );
  });

  test('[CX1] joining is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(contexts, contexts, contexts, (x, y, z) => {
        expect(joinContexts([x, y])).toEqual(joinContexts([y, x]));
        expect(joinContexts([joinContexts([x, y]), z])).toEqual(joinContexts([x, joinContexts([y, z])]));
        expect(joinContexts([x, x])).toEqual(x);
        expect(joinContexts([x, EMPTY_CONTEXT])).toEqual(x);
      }),
    );
  });

  test('[CX1] the join covers what either covers, and nothing else', () => {
    fc.assert(
      fc.property(contexts, contexts, (x, y) => {
        const expected = new Set([...coveredBy(x), ...coveredBy(y)]);
        expect(new Set(coveredBy(joinContexts([x, y])))).toEqual(expected);
      }),
    );
  });

  test('[DL3] dots under a stamp vanish, the rest is sorted and distinct', () => {
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: ([id]) => id }), fc.array(entry), (stamps, dots) => {
        const context = contextOf(stamps, dots);
        for (const [i, dot] of context.dots.entries()) {
          expect(dot.hlc).toBeGreaterThan(context.stamps.get(dot.replica) ?? 0);
          if (i > 0) expect(compareStamped(context.dots[i - 1] as typeof dot, dot)).toBeLessThan(0);
        }
        for (const [replica, hlc] of [...stamps, ...dots])
          expect(covers(context, { replica, hlc: stamp(hlc) })).toBe(true);
        expect(makeContext(context.stamps, [...context.dots].reverse())).toEqual(context);
      }),
    );
  });

  test('[CX4] a stamp is extended to a held delta that follows it without a gap', () => {
    expect(contextOfHeld([held(a, 3, 0), held(a, 7, 3)])).toEqual(contextOf([[a, 7]]));
    expect(contextOfHeld([held(a, 7, 3), held(a, 3, 0)])).toEqual(contextOf([[a, 7]]));
    expect(contextOfHeld([held(a, 7, 3, contextOf([[a, 3]]))])).toEqual(contextOf([[a, 7]]));
    expect(contextOfHeld([held(a, 7, 3), held(b, 9, 0, contextOf([[a, 5]]))])).toEqual(
      contextOf([
        [a, 7],
        [b, 9],
      ]),
    );
  });

  test('[CX4] what is held above a gap is a dot: the stamp does not reach over what was never seen', () => {
    expect(contextOfHeld([held(a, 7, 5)])).toEqual(contextOf([], [[a, 7]]));
    const withGap = contextOfHeld([held(a, 3, 0), held(a, 7, 5), held(a, 9, 7)]);
    expect(withGap).toEqual(
      contextOf(
        [[a, 3]],
        [
          [a, 7],
          [a, 9],
        ],
      ),
    );
    expect(covers(withGap, { replica: a, hlc: stamp(5) })).toBe(false);
  });

  test('[CX4] a stamp that closes a gap takes the dots in', () => {
    const seenByOther = contextOf([[a, 5]]);
    expect(contextOfHeld([held(a, 7, 5), held(b, 8, 0, seenByOther)])).toEqual(
      contextOf([
        [a, 7],
        [b, 8],
      ]),
    );
  });

  test('[FL12] on a ground a stamp reaches over what the floor has seen, but not while something that it lets stand is missing', () => {
    const reach = new Map([[a, stamp(5)]]);
    const context = contextOf(
      [
        [a, 4],
        [b, 2],
      ],
      [[b, 6]],
    );
    expect(contextOfHeld([held(a, 7, 5)], [{ reach, isWhole: true }])).toEqual(contextOf([[a, 7]]));
    expect(contextOfHeld([held(a, 7, 5)], [{ reach, isWhole: false }])).toEqual(contextOf([], [[a, 7]]));
    // Only a sibling that the floor's writer knew has its entries under the floor.
    for (const isWhole of [true, false]) {
      const onGround = contextOfHeld([held(a, 5, 0, context)], [{ reach, isWhole }]);
      expect(onGround).toEqual(
        contextOf(
          [
            [a, 5],
            [b, 2],
          ],
          [[b, 6]],
        ),
      );
      expect(contextOfHeld([held(a, 7, 0, context)], [{ reach, isWhole }]).stamps.get(a)).toBe(7);
    }
    const both = new Map([...reach, [b, stamp(3)] as const]);
    expect(contextOfHeld([held(a, 5, 0, context)], [{ reach: both, isWhole: true }])).toEqual(
      contextOf([[a, 5]], [[b, 6]]),
    );
    const beyond = contextOfHeld([held(a, 7, 0, context)], [{ reach: both, isWhole: false }]);
    expect([beyond.stamps.get(b), beyond.dots]).toEqual([2, [{ replica: b, hlc: 6 }]]);
  });

  test('[CX4] contexts of siblings are carried on, their dots included', () => {
    const context = contextOf([[b, 2]], [[b, 6]]);
    expect(contextOfHeld([held(a, 7, 0, context)])).toEqual(
      contextOf(
        [
          [a, 7],
          [b, 2],
        ],
        [[b, 6]],
      ),
    );
  });

  test('[CX4] a context covers exactly what its writer held, or held as superseded', () => {
    fc.assert(
      fc.property(historySteps, (steps) => {
        const all = makeHistory(steps);
        for (const { delta, past } of all) {
          for (const other of all) {
            if (other.delta.keyId !== delta.keyId) continue;
            expect(covers(delta.context, other.delta)).toBe(past.has(other.delta.id));
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  test('[DL7] the highest entry is that of stamps and dots', () => {
    expect(highestEntry(EMPTY_CONTEXT)).toBe(0);
    expect(highestEntry(contextOf([[a, 4]], [[b, 9]]))).toBe(9);
    expect(highestEntry(contextOf([[a, 11]], [[b, 9]]))).toBe(11);
    expect([isEmptyContext(EMPTY_CONTEXT), isEmptyContext(contextOf([], [[a, 1]]))]).toEqual([true, false]);
  });
});
