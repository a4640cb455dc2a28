import {
  type Hlc,
  taggedToValue,
  type ReplicaId,
  type SiblingValue,
  utf8ToBytes,
  type Value,
  valueToBytes,
} from '@mangrove/protocol';
import type { Conflict } from '../conflict.js';
import { CommandError, readBytes } from './options.js';

/** A conflict and, where its author knows it, what the merge has to come to. */
export interface Sample {
  readonly conflict: Conflict;
  readonly wanted: { readonly value: Value | undefined } | undefined;
}

/** Throws `CommandError` for a file that is no list of conflicts. */
export function readSamples(path: string): readonly Sample[] {
  const list = parse(path);
  if (!Array.isArray(list)) throw new CommandError(`${path} is not a list of conflicts`);
  return list.map((item, i) => {
    try {
      return toSample(item);
    } catch (error) {
      throw new CommandError(`${path}: conflict ${i + 1} cannot be read: ${(error as Error).message}`);
    }
  });
}

/** What is tried where no samples are given: two writes, one of them a delete, and two deletes. */
export const BUILT_IN_SAMPLES: readonly Sample[] = [
  [
    { title: 'Milk', count: 2 },
    { title: 'Oat milk', count: 1 },
  ],
  [undefined, { title: 'Milk', count: 2 }],
  [undefined, undefined],
].map((values, i) => ({
  conflict: { collection: 'samples', id: `sample-${i + 1}`, siblings: values.map(toSibling) },
  wanted: undefined,
}));

function toSibling(value: Value | undefined, i: number): SiblingValue<Value> {
  const replica = String(i + 1).padStart(16, '0') as ReplicaId;
  return { value, replica, writtenAt: (1_750_000_000_000 * 1_024 - i) as Hlc, bytes: new Uint8Array() };
}

function parse(path: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(readBytes(path)));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${path} is not JSON: ${(error as Error).message}`);
  }
}

function toSample(item: unknown): Sample {
  const { collection = 'samples', id = 'sample', siblings, result, deleted } = item as Record<string, unknown>;
  if (!Array.isArray(siblings)) throw new Error('it has no siblings');
  const conflict = { collection: String(collection), id: String(id), siblings: siblings.map(readSibling) };
  if (result !== undefined) return { conflict, wanted: { value: readValue(result) } };
  return { conflict, wanted: deleted === true ? { value: undefined } : undefined };
}

function readSibling(item: unknown): SiblingValue<Value> {
  const { replica, writtenAt, value, deleted } = item as Record<string, unknown>;
  if (typeof replica !== 'string') throw new Error('a sibling has no replica');
  if (!Number.isSafeInteger(writtenAt)) throw new Error('a sibling has no writtenAt');
  if ((value === undefined) !== (deleted === true)) throw new Error('a sibling has a value, or is deleted');
  const read = value === undefined ? undefined : readValue(value);
  const bytes = read === undefined ? new Uint8Array() : valueToBytes(read);
  return { replica: replica as ReplicaId, writtenAt: writtenAt as Hlc, value: read, bytes };
}

/** Of tagged JSON [DL9]. */
function readValue(parsed: unknown): Value {
  return taggedToValue(utf8ToBytes(JSON.stringify(parsed)));
}
