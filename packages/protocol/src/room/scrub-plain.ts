import { bytesToDelta } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { bytesToHeadStatement } from '../head-statement.js';
import type { Steps, Transaction } from '../store/plan.js';
import { putAside } from './aside.js';
import { rowToCertificate } from './certificate-row.js';
import type { RoomRef } from './room-ref.js';
import { bytesToJournalRow } from './journal.js';
import { readOutboxRow } from './outbox.js';
import { faultOfQuarantine } from './quarantine.js';
import { assertReadableMeta } from './receive.js';
import { assertReadableNumber, restoreNumber } from './scrub-meta.js';
import { assertReadableTrash } from './trash.js';

/** Tables from which nothing is derived: a row can be read, or it goes. */
export const PLAIN_TABLES = [
  'meta',
  'journal',
  'outbox',
  'certificates',
  'heads',
  'quarantine',
  'retained',
  'trash',
] as const;
export type PlainTable = (typeof PLAIN_TABLES)[number];

/** Each throws a typed error for a row that cannot be read. */
const readers: Record<PlainTable, (room: RoomRef, key: Uint8Array, row: Uint8Array) => unknown> = {
  meta: (_, key, row) => {
    assertReadableMeta(key, row);
    assertReadableNumber(key, row);
  },
  journal: (_, key, row) => bytesToJournalRow(key, row),
  outbox: (_, __, row) => readOutboxRow(row),
  certificates: (room, key, row) => rowToCertificate(room, key, row),
  heads: (_, __, row) => bytesToHeadStatement(row),
  quarantine: (_, __, row) => faultOfQuarantine(row),
  retained: ({ hash, roomId }, _, row) => bytesToDelta(hash, roomId, row),
  trash: (room, key, row) => assertReadableTrash(room, key, row),
};

/** [AE3] Drops what cannot be read among the next `limit` rows: whoever reads the table would stumble over it for ever. */
export function* dropUnreadable(
  tx: Transaction,
  room: RoomRef,
  table: PlainTable,
  from: Uint8Array,
  limit: number,
): Steps<{
  readonly rows: number;
  readonly bytes: number;
  readonly unreadable: number;
  readonly last: Uint8Array | undefined;
}> {
  const rows = yield* tx.rows(table, { from, limit });
  const bad = rows.filter(([key, row]) => !isReadable(() => readers[table](room, key, row)));
  for (const [key, row] of bad) {
    if (table === 'journal') putAside(tx, table, key, row);
    else tx.delete(table, key);
    if (table === 'meta') yield* restoreNumber(tx, key);
  }
  return {
    rows: rows.length,
    bytes: rows.reduce((sum, [, row]) => sum + row.length, 0),
    unreadable: bad.length,
    last: rows.length < limit ? undefined : rows.at(-1)?.[0],
  };
}

function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (isMangroveError(error)) return false;
    throw error;
  }
}
