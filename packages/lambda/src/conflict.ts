import {
  bytesToUtf8,
  bytesToValue,
  compareNewestFirst,
  hlcFromMs,
  isMangroveError,
  type ReplicaId,
  type SiblingValue,
  taggedToValue,
  utf8ToBytes,
  type Value,
  valueToBytes,
} from '@mangrove/protocol';
import type { Failure } from './failure.js';

/** A record with several siblings: what a lambda merges. */
export interface Conflict {
  readonly collection: string;
  readonly id: string;
  /** In any order. */
  readonly siblings: readonly SiblingValue<Value>[];
}

/** A record as a collection of `@mangrove/client` reads it. */
export interface ReadEntry {
  readonly siblings: readonly {
    readonly value: Value | undefined;
    readonly replica: string;
    readonly writtenAtMs: number;
  }[];
}

/** From what a page has of a record. Its times are whole milliseconds; siblings of one replica stay in the order in which the entry has them. */
export function conflictOfEntry(collection: string, id: string, { siblings }: ReadEntry): Conflict {
  const converted = siblings.map(({ value, replica, writtenAtMs }) => ({
    value,
    replica: replica as ReplicaId,
    writtenAt: hlcFromMs(writtenAtMs),
    bytes: new Uint8Array(),
  }));
  return { collection, id, siblings: converted };
}

/**
 * [LB1] What the guest reads: `{"collection","id","siblings":[{"replica","value","writtenAt"}…]}`, the newest sibling first, in which a delete
 * has `"deleted":true` in place of `value`. Values are tagged as they are stored [DL9].
 *
 * Equal conflicts give equal bytes, whatever order their siblings came in.
 */
export function conflictToBytes({ collection, id, siblings }: Conflict): Uint8Array {
  const ordered = [...siblings].sort(compareNewestFirst);
  const head = `"collection":${JSON.stringify(collection)},"id":${JSON.stringify(id)}`;
  return utf8ToBytes(`{${head},"siblings":[${ordered.map(siblingToText).join(',')}]}`);
}

/** By hand, because the values stand encoded already: within an object more, one at the limit of depth would be too deep. */
function siblingToText({ replica, value, writtenAt }: SiblingValue<Value>): string {
  if (value === undefined) return `{"deleted":true,"replica":"${replica}","writtenAt":${writtenAt}}`;
  return `{"replica":"${replica}","value":${bytesToUtf8(valueToBytes(value))},"writtenAt":${writtenAt}}`;
}

/** What a guest's bytes say: a value, or that the record is deleted, for which they are empty. */
export type Merged = { readonly value: Value | undefined } | { readonly error: Failure };

/** [LB1] Whatever order and spelling the guest gave it, the value is the one that its canonical bytes stand for. */
export function bytesToMerged(bytes: Uint8Array): Merged {
  if (bytes.length === 0) return { value: undefined };
  try {
    return { value: bytesToValue(valueToBytes(taggedToValue(bytes))) };
  } catch (error) {
    if (!isMangroveError(error)) throw error;
    const code = error.code === 'VALUE_TOO_LARGE' ? 'OUTPUT_TOO_LARGE' : 'OUTPUT_INVALID';
    return { error: { code, detail: error.message } };
  }
}
