import { type Hlc, hlcFromMs, type ReplicaId, type SiblingValue, type Value } from '@mangrove/protocol';
import type { Conflict } from '../../../packages/lambda/src/conflict.js';
import { makeRandom, type Random } from '../random.js';

const WORDS = ['', 'a', 'milk', 'naïve', '日本', '🦀 crab', '$x', 'tab\there', '"quoted"', '\u2028'];

/**
 * Conflicts that a seed repeats in every engine: whole numbers and literals alone, because what an engine makes of `10 ** n` is not the same in
 * all of them.
 */
export function makeConflicts(seed: number, count: number): Conflict[] {
  const random = makeRandom(seed);
  return Array.from({ length: count }, (_, i) => ({
    collection: 'todos',
    id: `record ${i}`,
    siblings: Array.from({ length: 2 + random.below(3) }, () => makeSibling(random)),
  }));
}

function makeSibling(random: Random): SiblingValue<Value> {
  const writtenAt = (hlcFromMs(1_700_000_000_000 + random.below(1_000)) + random.below(4)) as Hlc;
  const replica = random
    .below(2 ** 30)
    .toString(16)
    .padStart(16, '0') as ReplicaId;
  const value = random.below(8) === 0 ? undefined : makeRecord(random);
  return { value, replica, writtenAt, bytes: Uint8Array.of(random.below(256)) };
}

function makeRecord(random: Random): Value {
  const record: Record<string, Value> = { x: makeNumber(random), title: pick(random, WORDS) };
  for (let left = random.below(8); left > 0; left -= 1) record[`field ${random.below(12)}`] = makeField(random, 0);
  return record;
}

function makeField(random: Random, depth: number): Value {
  switch (random.below(depth > 2 ? 7 : 9)) {
    case 0:
      return null;
    case 1:
      return random.below(2) === 1;
    case 2:
      return pick(random, WORDS);
    case 3:
      return new Date(random.below(2 ** 30) * 1_000);
    case 4:
      return BigInt(random.below(2 ** 30)) ** 3n;
    case 5:
      return Uint8Array.from({ length: random.below(9) }, () => random.below(256));
    case 6:
      return makeNumber(random);
    case 7:
      return Array.from({ length: random.below(5) }, () => makeField(random, depth + 1));
    default:
      return { inner: makeField(random, depth + 1), [pick(random, WORDS)]: makeField(random, depth + 1) };
  }
}

/** Exact in every engine: division by a power of two, or a whole number. */
function makeNumber(random: Random): number {
  const whole = random.below(2 ** 31) * (random.below(2) === 0 ? 1 : -1);
  if (random.below(8) === 0) return whole * 2 ** 22;
  return random.below(2) === 0 ? whole : whole / 2 ** (1 + random.below(40));
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)] as Item;
}
