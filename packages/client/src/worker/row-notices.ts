import { hlcToMs, type JournalRow, numbersOf, oldestOf } from '@mangrove/protocol';
import type { JournaledRow, ReceivedKey } from '../tabs/room-channel.js';

/** A row as the tabs tell each other of it. */
export function toNotice(row: JournalRow): JournaledRow {
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
  };
}

/** What such a notice says of its key, in the words of what came from elsewhere. */
export function toReceivedKey(row: JournaledRow): ReceivedKey {
  return { ...row, updates: row.update === undefined ? [] : [row.update] };
}
