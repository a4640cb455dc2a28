import { bytesToU64, equalBytes, prefixEnd, utf8ToBytes } from '../bytes.js';
import { parseTrieKey } from '../delta.js';
import { HLC_ZERO, type Hlc, hlcToMs } from '../hlc.js';
import { idToBytes, REPLICA_ID_BYTES } from '../ids.js';
import { isMangroveError, MangroveError } from '../errors.js';
import type { Steps, Transaction } from '../store/plan.js';
import { bytesToJournalRow } from './journal.js';
import { META, readClock, readOwnReplica, REPLICA, writeNumber } from './meta.js';
import { isEntry, readEntries } from './vector-entry.js';

const NUMBER_BYTES = 8;
const LAST = { from: new Uint8Array(), reverse: true, limit: 1 } as const;
const EVERYTHING = { from: new Uint8Array() };
const SYNCED_AT = utf8ToBytes('synced-at');
const numberByKey = Object.values(META).map((name) => [name, utf8ToBytes(name)] as const);

/** Throws `INTERNAL` for a number, or an id, that is none. Other rows of `meta` are not looked into. */
export function assertReadableNumber(key: Uint8Array, row: Uint8Array): void {
  const isNumber = numberOf(key) !== undefined || equalBytes(key, SYNCED_AT);
  const bytes = isNumber ? NUMBER_BYTES : equalBytes(key, REPLICA) ? REPLICA_ID_BYTES : undefined;
  const isReadable = row.length === bytes && (!isNumber || Number.isSafeInteger(bytesToU64(row)));
  if (bytes !== undefined && !isReadable)
    throw new MangroveError('INTERNAL', { reason: 'a row of meta on disk cannot be read' });
}

/**
 * [AE2] Writes a number anew that could not be read: never one that was given before, as far as the other rows tell. A relay that knows of
 * more finds it out when this replica connects [CX7].
 */
export function* restoreNumber(tx: Transaction, key: Uint8Array): Steps<void> {
  const name = numberOf(key);
  if (name === undefined) return;
  writeNumber(tx, name, 0);
  switch (name) {
    case 'clock':
      return writeNumber(tx, name, yield* highestStamp(tx));
    case 'row':
      return writeNumber(tx, name, highestOf((yield* tx.keys('journal', EVERYTHING)).map((at) => bytesToU64(at, 16))));
    case 'seq':
      return writeNumber(tx, name, yield* highestSeq(tx));
    case 'epoch':
      // Above every epoch that was counted up to, so that an owner from before writes nothing more [JS3].
      return writeNumber(tx, name, hlcToMs(yield* readSoundClock(tx)));
    case 'given':
      return writeNumber(tx, name, yield* readSoundClock(tx));
  }
}

const numberOf = (key: Uint8Array): keyof typeof META | undefined =>
  numberByKey.find(([, bytes]) => equalBytes(bytes, key))?.[0];

/** The clock itself may be what cannot be read. */
function* readSoundClock(tx: Transaction): Steps<Hlc> {
  try {
    return yield* readClock(tx);
  } catch (error) {
    if (isMangroveError(error)) return yield* highestStamp(tx);
    throw error;
  }
}

/** Of all that is held or written here; what is covered lies below what covers it [DL7]. */
function* highestStamp(tx: Transaction): Steps<Hlc> {
  const held = (yield* tx.keys('deltas', EVERYTHING)).map((key) => parseTrieKey(key).hlc);
  const written = (yield* tx.rows('journal', EVERYTHING)).map(([key, row]) => writtenAtOf(key, row));
  return [...held, ...written].reduce((highest, stamp) => (stamp > highest ? stamp : highest), HLC_ZERO);
}

/** A row that cannot be read either says nothing. */
function writtenAtOf(key: Uint8Array, row: Uint8Array): Hlc {
  try {
    return bytesToJournalRow(key, row).writtenAt;
  } catch (error) {
    if (isMangroveError(error)) return HLC_ZERO;
    throw error;
  }
}

function* highestSeq(tx: Transaction): Steps<number> {
  const replica = yield* readOwnReplica(tx);
  if (replica === undefined) return 0;
  const from = idToBytes(replica);
  const [dot] = yield* tx.keys('dots', { ...LAST, from, to: prefixEnd(from) });
  const [waiting] = yield* tx.keys('outbox', LAST);
  const row = yield* tx.get('vector', from);
  const [entry] = isEntry(row) ? yield* readEntries(tx, [replica]) : [];
  const known = [
    dot && bytesToU64(dot, REPLICA_ID_BYTES),
    waiting && bytesToU64(waiting),
    entry?.seq,
    entry?.claim?.seq,
  ];
  return highestOf(known);
}

/** Of those that a disk has not made larger than any that is given. */
function highestOf(numbers: readonly (number | undefined)[]): number {
  return Math.max(0, ...numbers.filter((number) => number !== undefined && Number.isSafeInteger(number)).map(Number));
}
