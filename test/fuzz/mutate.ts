import { concatBytes } from '../../packages/protocol/src/bytes.js';
import type { Random } from '../support/random.js';

/** What makes hostile bytes of honest ones. All of it is drawn from a seeded source, so a number repeats a case. */

const NUMBERS = [
  0, 1, 2, 63, 64, 127, 128, 255, 256, 1_023, 1_024, 1_025, 4_096, 4_097, 8_193, 16_384, 65_536, 262_144,
].concat([2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 42, 2 ** 52, 2 ** 53 - 1, 2 ** 53, 2 ** 60]);
const BYTES = [0, 1, 2, 3, 0x7f, 0x80, 0x81, 0xfe, 0xff];
const REPEATS_MAX = 1_500;
const LENGTH_MAX = 300_000;

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)] as Item;
}

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

/** `varUint` by hand, up to any size: also numbers that no reader takes. */
export function varUint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}

/** One to three edits of bytes, of which nothing need be known; `other` gives what is spliced in. */
export function mutateBytes(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let mutated = bytes;
  for (let edits = 1 + random.below(3); edits > 0; edits--) mutated = pick(random, EDITS)(random, mutated, other);
  return mutated.length > LENGTH_MAX ? mutated.slice(0, LENGTH_MAX) : mutated;
}

type Edit = (random: Random, bytes: Uint8Array, other: Uint8Array) => Uint8Array;

const at = (random: Random, bytes: Uint8Array): number => random.below(bytes.length + 1);

const EDITS: readonly Edit[] = [
  // One bit, one byte.
  (random, bytes) => withByte(random, bytes, (byte) => byte ^ (1 << random.below(8))),
  (random, bytes) => withByte(random, bytes, () => pick(random, BYTES)),
  (random, bytes) => withByte(random, bytes, (byte) => byte + (random.below(2) === 0 ? 1 : 255)),
  // A number, where there may be one: other values, and long forms of the same.
  (random, bytes) => replaceAt(bytes, at(random, bytes), 1, varUint(pick(random, NUMBERS))),
  (random, bytes) => stretchVarUint(random, bytes),
  (random, bytes) => replaceAt(bytes, at(random, bytes), 0, new Uint8Array(1 + random.below(200)).fill(0x80)),
  // Shorter, longer.
  (random, bytes) => bytes.slice(0, at(random, bytes)),
  (random, bytes) => concatBytes(bytes, randomBytes(random, 1 + random.below(20))),
  (random, bytes) => replaceAt(bytes, at(random, bytes), random.below(12), new Uint8Array()),
  (random, bytes) => replaceAt(bytes, at(random, bytes), random.below(6), randomBytes(random, random.below(12))),
  (random, bytes) => replaceAt(bytes, at(random, bytes), 32, randomBytes(random, 32)),
  // Of others, and of itself.
  (random, bytes, other) => concatBytes(bytes.subarray(0, at(random, bytes)), other.subarray(at(random, other))),
  (random, bytes, other) => {
    const from = at(random, other);
    return replaceAt(bytes, at(random, bytes), random.below(40), other.subarray(from, from + random.below(80)));
  },
  (random, bytes) => repeatPart(random, bytes),
];

function withByte(random: Random, bytes: Uint8Array, change: (byte: number) => number): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(random.below(256));
  const copy = bytes.slice();
  const index = random.below(copy.length);
  copy[index] = change(copy[index] as number);
  return copy;
}

function replaceAt(bytes: Uint8Array, index: number, drop: number, insert: Uint8Array): Uint8Array {
  return concatBytes(bytes.subarray(0, index), insert, bytes.subarray(Math.min(bytes.length, index + drop)));
}

/** The same number in more bytes than it needs. */
function stretchVarUint(random: Random, bytes: Uint8Array): Uint8Array {
  const index = bytes.findIndex((byte, i) => byte < 128 && i >= random.below(bytes.length));
  if (index < 0) return bytes;
  return replaceAt(bytes, index, 1, Uint8Array.of((bytes[index] as number) | 128, 0));
}

function repeatPart(random: Random, bytes: Uint8Array): Uint8Array {
  const from = at(random, bytes);
  const part = bytes.subarray(from, from + 1 + random.below(100));
  const times = Math.min(REPEATS_MAX, Math.floor(20_000 / Math.max(1, part.length)));
  const repeated = concatBytes(...Array<Uint8Array>(1 + random.below(times)).fill(part));
  return replaceAt(bytes, from, 0, repeated);
}

/**
 * Changes one thing somewhere inside a decoded value: written again, its lengths and counts are right and its meaning is not.
 * `other` is a value of the same shape, whose parts may take the place of the first one's.
 */
export function mutateValue(random: Random, value: unknown, other: unknown): unknown {
  if (other !== undefined && random.below(12) === 0 && sameShape(value, other)) return other;
  if (typeof value === 'number') return mutateNumber(random, value);
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return mutateText(random, value);
  if (value instanceof Uint8Array) return mutateField(random, value);
  if (Array.isArray(value)) return mutateList(random, value, Array.isArray(other) ? other : []);
  if (value instanceof Map)
    return new Map(mutateList(random, [...value], other instanceof Map ? [...other] : []) as [unknown, unknown][]);
  if (typeof value !== 'object' || value === null) return value;
  const keys = Object.keys(value).filter((key) => key !== 'kind');
  if (keys.length === 0) return value;
  const key = pick(random, keys);
  const part = (from: unknown): unknown => (from as Record<string, unknown> | undefined)?.[key];
  const otherPart = typeof other === 'object' && other !== null ? part(other) : undefined;
  return { ...value, [key]: mutateValue(random, part(value), otherPart) };
}

function sameShape(a: unknown, b: unknown): boolean {
  return typeof a === typeof b && Array.isArray(a) === Array.isArray(b) && a?.constructor === b?.constructor;
}

function mutateNumber(random: Random, value: number): number {
  if (random.below(3) === 0) return value + (random.below(2) === 0 ? 1 : -1);
  return random.below(4) === 0 ? Math.max(0, value - pick(random, NUMBERS)) : pick(random, NUMBERS);
}

function mutateText(random: Random, text: string): string {
  if (/^([0-9a-f]{2})+$/.test(text)) {
    const index = random.below(text.length);
    return text.slice(0, index) + random.below(16).toString(16) + text.slice(index + 1);
  }
  return pick(random, [
    '',
    'é',
    '\0',
    '\ud800',
    'x'.repeat(pick(random, [1, 40, 512, 513, 5_000, 20_000])),
    `${text}\u0007`,
  ]);
}

function mutateField(random: Random, bytes: Uint8Array): Uint8Array {
  switch (random.below(5)) {
    case 0:
      return new Uint8Array(bytes.length).fill(pick(random, [0, 255]));
    case 1:
      return randomBytes(random, pick(random, [0, 1, bytes.length, bytes.length + 1, 300]));
    default:
      return bytes.length === 0 ? bytes : withByte(random, bytes, (byte) => byte ^ (1 + random.below(255)));
  }
}

function mutateList(random: Random, list: readonly unknown[], other: readonly unknown[]): unknown[] {
  if (list.length === 0) return other.slice(0, 1 + random.below(3));
  const index = random.below(list.length);
  const item = list[index];
  switch (random.below(7)) {
    case 0:
      return list.toSpliced(index, 1);
    case 1:
      return list.toSpliced(index, 0, item);
    case 2:
      return [...list].reverse();
    case 3:
      return list.toSpliced(index, 1, ...other.slice(0, 1 + random.below(4)));
    case 4:
      return random.below(6) === 0 ? Array<unknown>(1 + random.below(REPEATS_MAX)).fill(item) : [...list, item];
    default:
      return list.with(index, mutateValue(random, item, other[index]));
  }
}
