import { base64ToBytes, bytesToBase64 } from './base64.js';
import { bytesToUtf8, utf8ToBytes } from './bytes.js';
import { MangroveError } from './errors.js';
import { defaultLimits } from './limits.js';

/** What a record can hold: JSON and four types that JSON lacks [DL9]. */
export type Value =
  | null
  | boolean
  | number
  | string
  | bigint
  | Uint8Array
  | Date
  | readonly Value[]
  | ReadonlyMap<Value, Value>
  | { readonly [key: string]: Value };

const DEPTH_MAX = 64;

/**
 * The one encoding of a value: equal values give equal bytes on every replica.
 * Throws `VALUE_INVALID` and `VALUE_TOO_LARGE`.
 */
export function valueToBytes(value: unknown, valueBytesMax = defaultLimits.valueBytesMax): Uint8Array {
  const bytes = utf8ToBytes(encodeValue(value, 0, { left: valueBytesMax }));
  if (bytes.length > valueBytesMax)
    throw new MangroveError('VALUE_TOO_LARGE', { valueBytes: bytes.length, valueBytesMax });
  return bytes;
}

/**
 * Throws `VALUE_INVALID` for bytes that no value encodes to, and `VALUE_TOO_LARGE`: a `bigint` of some megabytes takes seconds to read.
 * Objects come back with no prototype tricks: plain own keys only.
 */
export function bytesToValue(bytes: Uint8Array, valueBytesMax = defaultLimits.valueBytesMax): Value {
  if (bytes.length > valueBytesMax)
    throw new MangroveError('VALUE_TOO_LARGE', { valueBytes: bytes.length, valueBytesMax });
  let text: string;
  let parsed: unknown;
  try {
    text = bytesToUtf8(bytes);
    parsed = JSON.parse(text);
  } catch (cause) {
    throw invalid('it is not JSON', cause);
  }
  const value = untag(parsed, 0);
  // What JSON lets pass beside: white space, other orders and spellings, a key given twice. One value has one encoding.
  if (encodeValue(value, 0, { left: text.length }) !== text) throw invalid('it is not in canonical form');
  return value;
}

/**
 * The value that tagged JSON stands for, in whatever order and spelling: what a guest of another language writes [LB1]. Throws `VALUE_INVALID`.
 */
export function taggedToValue(bytes: Uint8Array): Value {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytesToUtf8(bytes));
  } catch (cause) {
    throw invalid('it is not JSON', cause);
  }
  return untag(parsed, 0);
}

/** Of what `bytesToValue` has read once and `JSON.parse` since: reads the tags of types that JSON lacks, and looks at nothing again. */
export function jsonToValue(parsed: unknown): Value {
  return untag(parsed, 0);
}

/** What is left of the bytes a value may take: a value that shares its parts can be small in memory and endless in writing. */
interface Budget {
  left: number;
}

function encodeValue(value: unknown, depth: number, budget: Budget): string {
  if (--budget.left < 0) throw new MangroveError('VALUE_TOO_LARGE', { valueBytes: 'more', valueBytesMax: 'the limit' });
  if (depth > DEPTH_MAX) throw invalid(`it is nested over ${DEPTH_MAX} deep, or holds itself`);
  switch (typeof value) {
    case 'boolean':
      return String(value);
    case 'number':
      if (!Number.isFinite(value)) throw invalid(`${value} is not a finite number`);
      return JSON.stringify(value === 0 ? 0 : value);
    case 'string':
      return encodeString(value);
    case 'bigint':
      return `{"$bigint":"${value}"}`;
    case 'object':
      return value === null ? 'null' : encodeObject(value, depth, budget);
    default:
      throw invalid(`data cannot be of type ${typeof value}`);
  }
}

function encodeObject(value: object, depth: number, budget: Budget): string {
  if (Array.isArray(value)) {
    // The indices and `length`: what else hangs on an array would be lost in silence.
    if (Reflect.ownKeys(value).length > value.length + 1) throw invalid('an array has properties beside its items');
    // Array.from, because map skips the holes of a sparse array and would let them pass.
    return `[${Array.from(value, (item) => encodeValue(item, depth + 1, budget)).join(',')}]`;
  }
  if (value instanceof Uint8Array) return `{"$bytes":"${bytesToBase64(value)}"}`;
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw invalid('a Date is invalid');
    assertBare(value);
    return `{"$date":${value.getTime() || 0}}`;
  }
  if (value instanceof Map) {
    assertBare(value);
    const pairs = [...value].map(
      ([key, item]) => [encodeValue(key, depth + 1, budget), encodeValue(item, depth + 1, budget)] as const,
    );
    pairs.sort(([a], [b]) => (a < b ? -1 : 1));
    if (pairs.some(([key], i) => key === pairs[i - 1]?.[0])) throw invalid('a Map has one key twice');
    return `{"$map":[${pairs.map(([key, item]) => `[${key},${item}]`).join(',')}]}`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw invalid(`an instance of ${value.constructor?.name ?? 'a class'} is not plain data`);
  }
  const entries = Object.entries(value);
  if (Reflect.ownKeys(value).length > entries.length) throw invalid('an object has keys that are symbols or hidden');
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const mark = entries.length === 1 && entries[0]?.[0].startsWith('$') ? '$' : '';
  return `{${entries.map(([key, item]) => `${encodeString(mark + key)}:${encodeValue(item, depth + 1, budget)}`).join(',')}}`;
}

/** What an app hung on it would be lost in silence. */
function assertBare(value: object): void {
  if (Reflect.ownKeys(value).length > 0) throw invalid(`a ${value.constructor.name} has properties of its own`);
}

function encodeString(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw invalid('a string holds half of a surrogate pair');
  return JSON.stringify(text);
}

function untag(parsed: unknown, depth: number): Value {
  if (depth > DEPTH_MAX) throw invalid(`it is nested over ${DEPTH_MAX} deep`);
  if (parsed === null || typeof parsed === 'boolean') return parsed;
  if (typeof parsed === 'number') {
    if (!Number.isFinite(parsed)) throw invalid('a number is out of range');
    return parsed;
  }
  if (typeof parsed === 'string') {
    if (/\p{Surrogate}/u.test(parsed)) throw invalid('a string holds half of a surrogate pair');
    return parsed;
  }
  if (Array.isArray(parsed)) return parsed.map((item) => untag(item, depth + 1));
  const entries = Object.entries(parsed as Record<string, unknown>);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined && first[0].startsWith('$'))
    return untagSingle(first[0], first[1], depth);
  return toObject(entries, depth);
}

function untagSingle(key: string, item: unknown, depth: number): Value {
  if (key.startsWith('$$')) return toObject([[key.slice(1), item]], depth);
  if (key === '$bytes' && typeof item === 'string') return fromBase64(item);
  if (key === '$date' && typeof item === 'number' && !Number.isNaN(new Date(item).getTime())) return new Date(item);
  if (key === '$bigint' && typeof item === 'string' && /^(0|-?[1-9]\d*)$/.test(item)) return BigInt(item);
  if (key === '$map' && Array.isArray(item)) return new Map(item.map((pair) => untagPair(pair, depth + 1)));
  throw invalid(`an unknown tag ${key.slice(0, 20)}`);
}

function untagPair(pair: unknown, depth: number): [Value, Value] {
  if (!Array.isArray(pair) || pair.length !== 2) throw invalid('a map entry is not a pair');
  return [untag(pair[0], depth), untag(pair[1], depth)];
}

/** defineProperty, because assigning `__proto__` would set a prototype of the writer's choosing. */
function toObject(entries: readonly (readonly [string, unknown])[], depth: number): Value {
  const object: { [key: string]: Value } = {};
  for (const [key, item] of entries) {
    Object.defineProperty(object, key, {
      value: untag(item, depth + 1),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
}

function fromBase64(text: string): Uint8Array {
  const bytes = base64ToBytes(text);
  if (bytes === undefined) throw invalid('bytes are not base64');
  return bytes;
}

function invalid(reason: string, cause?: unknown): MangroveError {
  return new MangroveError('VALUE_INVALID', { reason }, { cause });
}
