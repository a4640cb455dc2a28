import { bytesToHex, EMPTY_ROOT } from '@mangrove/protocol';
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
