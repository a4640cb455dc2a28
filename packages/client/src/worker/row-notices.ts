import { hlcToMs, type JournalRow, numbersOf, oldestOf } from '@mangrove/protocol';
import type { JournaledRow, ReceivedKey } from '../tabs/room-channel.js';

/** A row as the tabs tell each other of it. `was`: the number under which it was told as unkept. */
export function toNotice(row: JournalRow, was?: number): JournaledRow {
  const { number, keyId, name, payload } = row;
  const isDocument = name.kind === 'document';
  return {
    number,
    keyId,
    document: isDocument ? name.id : undefined,
    collection: isDocument ? undefined : name.collection,
    id: name.id,
    bytes: payload.length,
    atMs: hlcToMs(oldestOf(row)),
    numbers: numbersOf(row),
    update: isDocument ? payload : undefined,
    ...(was !== undefined && { was }),
  };
}

/** What such a notice says of its key, in the words of what came from elsewhere. */
export function toReceivedKey(row: JournaledRow): ReceivedKey {
  return { ...row, updates: row.update === undefined ? [] : [row.update] };
}
