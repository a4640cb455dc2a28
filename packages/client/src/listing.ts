import {
  bytesToUtf8,
  type Hlc,
  hlcToMs,
  jsonToValue,
  type ReplicaId,
  type SiblingValue,
  type Value,
} from '@mangrove/protocol';
import type { Entry, Sibling } from './types.js';

/** The siblings of a record, newest first, and which of them it shows. */
export interface Resolved {
  readonly siblings: readonly SiblingValue<Value>[];
  readonly shown: number;
}

/** `value` is missing where it was deleted. */
type JsonSibling = readonly [replica: ReplicaId, writtenAt: Hlc, value?: unknown];
type JsonListing = readonly (readonly [id: string, shown: number, siblings: readonly JsonSibling[]])[];

/**
 * Records as they cross from the worker to the page: one text, as thousands of objects take longer to copy than to make. A value is in it as it is
 * stored, which is JSON.
 */
export function listingToText(records: readonly (readonly [string, Resolved])[]): string {
  const texts = records.map(([id, { siblings, shown }]) => {
    const written = siblings.map(({ replica, writtenAt, value, bytes }) =>
      value === undefined ? `["${replica}",${writtenAt}]` : `["${replica}",${writtenAt},${bytesToUtf8(bytes)}]`,
    );
    return `[${JSON.stringify(id)},${shown},[${written.join()}]]`;
  });
  return `[${texts.join()}]`;
}

/** Each reading makes values of its own: whoever changes one has changed nobody else's. */
export function textToEntries(text: string): readonly (readonly [string, Entry<Value>])[] {
  // No value of a type that JSON lacks is without this.
  const isTagged = text.includes('"$');
  const toValue = (json: unknown): Value => (isTagged ? jsonToValue(json) : (json as Value));
  return (JSON.parse(text) as JsonListing).map(([id, shown, siblings]) => {
    const all = siblings.map(([replica, writtenAt, ...value]) =>
      toSibling(replica, writtenAt, value.length === 0 ? undefined : toValue(value[0])),
    );
    return [id, toEntry(all, shown)];
  });
}

export function resolvedToEntry({ siblings, shown }: Resolved): Entry<Value> {
  const all = siblings.map(({ replica, writtenAt, value }) => toSibling(replica, writtenAt, value));
  return toEntry(all, shown);
}

/** Opaque outside: the writer and the time of a write are the same in the journal and in the delta it becomes. */
export function versionOf(replica: ReplicaId, writtenAt: number): string {
  return `${replica}-${writtenAt.toString(36)}`;
}

function toSibling(replica: ReplicaId, writtenAt: Hlc, value: Value | undefined): Sibling<Value> {
  return { value, replica, writtenAtMs: hlcToMs(writtenAt), version: versionOf(replica, writtenAt) };
}

function toEntry(siblings: readonly Sibling<Value>[], shown: number): Entry<Value> {
  const versions = siblings.map(({ version }) => version);
  return { value: siblings[shown]?.value as Value, siblings, version: versions.sort().join('.') };
}
