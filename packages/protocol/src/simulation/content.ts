import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bodyOfDelta, bytesToRecordPayload, recordPayloadToBytes, updateOfDelta } from '../body.js';
import { encode } from '../codec.js';
import type { Deflate } from '../compression.js';
import { type Delta, FLAG, hasFlag } from '../delta.js';
import { MangroveError } from '../errors.js';
import type { KeyName } from '../ids.js';
import type { Edit } from '../room/journal.js';
import type { WriteKind } from './ledger.js';
import { bytesToValue, valueToBytes } from '../value.js';

/** What a world writes: a document is a set of write ids that merges by union, and bytes that only weigh; a record's value names its one write. */
export function editOf(name: KeyName, kind: WriteKind, write: number, bulkBytes: number): Edit {
  switch (kind) {
    case 'document':
      return { name, flags: 0, nonces: [write], payload: idsToBytes([write], bulkBytes) };
    case 'put':
      return { name, flags: 0, nonces: [], payload: recordPayloadToBytes({ value: valueToBytes({ write }) }) };
    case 'delete':
      return { name, flags: FLAG.tombstone, nonces: [], payload: new Uint8Array() };
    default:
      throw new MangroveError('OPTION_INVALID', { option: 'kind', reason: `${kind} is none of document, put, delete` });
  }
}

/** The `mergeUpdates` of sealing: a union. */
export function mergeIds(updates: readonly Uint8Array[]): Uint8Array {
  const read = updates.map(readIds);
  const ids = [...new Set(read.flatMap(({ ids }) => ids))].sort((a, b) => a - b);
  return idsToBytes(ids, Math.max(0, ...read.map(({ bulkBytes }) => bulkBytes)));
}

/** The `deflate` of a world: no body gets shorter, so all stay plain. */
export const asItIs: Deflate = (bytes) => bytes;

/** What is wrong with a checkpoint's ids beside those it covers [CP6]. */
export function compareIds(update: Uint8Array, covered: readonly Uint8Array[], isExact: boolean): string | undefined {
  const claimed = new Set(idsOfUpdate(update));
  const merged = new Set(covered.flatMap(idsOfUpdate));
  for (const id of merged) if (!claimed.has(id)) return `it leaves out write ${id}`;
  for (const id of claimed) if (isExact && !merged.has(id)) return `it has write ${id}, which was not merged`;
  return undefined;
}

/** The write ids that a delta's body says; of a tombstone none, it has no value. */
export function writesOfBody(delta: Delta): readonly number[] {
  const { name, payload } = bodyOfDelta(delta);
  if (name.kind === 'document') return idsOfUpdate(updateOfDelta(delta));
  if (hasFlag(delta, FLAG.tombstone)) return [];
  const value = bytesToValue(bytesToRecordPayload(payload).value) as { write: number };
  return [value.write];
}

export function idsToBytes(ids: readonly number[], bulkBytes = 0): Uint8Array {
  return encode((encoder) => {
    encoding.writeVarUint(encoder, ids.length);
    for (const id of ids) encoding.writeVarUint(encoder, id);
    // No two parts of it are equal, nor those of two writes.
    const first = ids[0] ?? 0;
    if (bulkBytes > 0)
      encoding.writeUint8Array(
        encoder,
        Uint8Array.from({ length: bulkBytes }, (_, i) => (i + first + (i >>> 16) * 7) & 255),
      );
  });
}

export function idsOfUpdate(bytes: Uint8Array): readonly number[] {
  return readIds(bytes).ids;
}

function readIds(bytes: Uint8Array): { readonly ids: number[]; readonly bulkBytes: number } {
  const decoder = decoding.createDecoder(bytes);
  const ids = Array.from({ length: decoding.readVarUint(decoder) }, () => decoding.readVarUint(decoder));
  return { ids, bulkBytes: bytes.length - decoder.pos };
}
