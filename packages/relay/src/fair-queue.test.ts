import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue } from './fair-queue.js';

const filled = (lines: Readonly<Record<string, readonly number[]>>): FairQueue<string, number> => {
  const queue = new FairQueue<string, number>();
  for (const [who, items] of Object.entries(lines)) for (const item of items) queue.add(who, item);
  return queue;
};
const atMost = (count: number) => () => count-- > 0;

describe('fair queue', () => {
  test('[SY26] who brings much does not go before those who came later with little', () => {
    const queue = filled({ flooder: [1, 2, 3, 4, 5, 6], honest: [10], other: [20, 21] });
    expect(queue.take(atMost(5))).toEqual([1, 10, 20, 2, 21]);
    expect(queue.take(atMost(2))).toEqual([3, 4]);
  });

  test('the next batch begins with who would have been next', () => {
    const queue = filled({ a: [1, 2], b: [11, 12] });
    expect(queue.take(atMost(1))).toEqual([1]);
    expect(queue.take(atMost(2))).toEqual([11, 2]);
    expect(queue.take(atMost(9))).toEqual([12]);
    expect(queue.size).toBe(0);
  });

  test('the first is taken whatever it weighs', () => {
    expect(filled({ a: [1, 2] }).take(() => false)).toEqual([1]);
  });

  test('what is removed is gone, and its line with it', () => {
    const queue = filled({ a: [1, 2, 3], b: [2] });
    expect(queue.remove((item) => item === 2)).toEqual([2, 2]);
    expect(queue.size).toBe(2);
    expect(queue.take(atMost(9))).toEqual([1, 3]);
  });

  test('nothing is lost, nothing comes twice, and each line keeps its order', () => {
    const stepOf = fc.oneof(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat()), fc.nat({ max: 5 }));
    fc.assert(
      fc.property(fc.array(stepOf, { maxLength: 60 }), (steps) => {
        const queue = new FairQueue<string, readonly [string, number]>();
        const added: (readonly [string, number])[] = [];
        const taken: (readonly [string, number])[] = [];
        for (const step of steps) {
          if (typeof step === 'number') taken.push(...queue.take(atMost(step)));
          else {
            added.push(step);
            queue.add(step[0], step);
          }
        }
        while (queue.size > 0) taken.push(...queue.take(atMost(3)));
        const of = (all: readonly (readonly [string, number])[], who: string) => all.filter(([name]) => name === who);
        for (const who of ['a', 'b', 'c']) expect(of(taken, who)).toEqual(of(added, who));
        expect(taken.length).toBe(added.length);
      }),
    );
  });
});
