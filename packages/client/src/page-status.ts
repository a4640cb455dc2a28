import { bytesToHex, EMPTY_ROOT, isMangroveError } from '@mangrove/protocol';
import type { RoomStatus } from './types.js';

/** Of a room that nobody has opened yet. */
export function initialStatus(hasRelay: boolean): RoomStatus {
  return Object.freeze({
    connection: hasRelay ? 'offline' : 'none',
    sync: 'local',
    pending: { writes: 0, bytes: 0, oldestAgeMs: null },
    staleness: { lastSyncedAtMs: null, lagVersions: 0, exceeded: false },
    storage: 'opening',
    quarantined: 0,
    vouched: 0,
    root: bytesToHex(EMPTY_ROOT),
    lastError: null,
  });
}

/** Of a room that does not open: who looks at the status alone would wait for it. */
export function failedStatus(status: RoomStatus, error: unknown, atMs: number): RoomStatus {
  if (!isMangroveError(error)) return status;
  const { code, message, remedy, retryable } = error;
  return { ...status, lastError: { code, message, remedy, retryable, atMs } };
}

/** What is not looked at any more is neither connected nor known to be the same as elsewhere. */
export function closedStatus(status: RoomStatus): RoomStatus {
  const { connection, sync } = status;
  return {
    ...status,
    connection: connection === 'none' ? 'none' : 'offline',
    sync: sync === 'local' ? 'local' : 'behind',
  };
}

/** With so many writes that the page has handed over, or is about to, and that no journal has. */
export function withUnjournaled(status: RoomStatus, writes: number): RoomStatus {
  if (writes === 0) return status;
  const { pending, sync } = status;
  return Object.freeze({
    ...status,
    sync: sync === 'in-sync' ? 'syncing' : sync,
    pending: { ...pending, writes: pending.writes + writes, oldestAgeMs: pending.oldestAgeMs ?? 0 },
  });
}
