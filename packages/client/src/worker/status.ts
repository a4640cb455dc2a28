import {
  bytesToHex,
  EMPTY_ROOT,
  type ErrorFacts,
  type Progress,
  type ReplicaState,
  type ScrubFindings,
} from '@mangrove/protocol';
import type { RepairMetrics, RoomStatus } from '../types.js';

/** What the owner of the replica knows and the other tabs are told. */
export interface LinkStatus {
  readonly connection: RoomStatus['connection'];
  /** True while the link is live and roots were equal at the last look. */
  readonly settled: boolean;
  readonly lastSyncedAtMs: number | null;
  readonly root: string;
  readonly storage: RoomStatus['storage'];
  readonly quarantined: number;
  readonly vouched: number;
  /** While something comes that was missing. */
  readonly progress: Progress | undefined;
  readonly lastError: RoomStatus['lastError'];
  readonly repairs: RepairMetrics;
  /** Writes of this replica, or of the one that it was, that are gone for good. */
  readonly lostWrites: number;
}

export const NOTHING_REPAIRED: RepairMetrics = {
  rowsScrubbed: 0,
  holesFound: 0,
  rowsUnreadable: 0,
  rowsMended: 0,
  passes: 0,
  deltasFetched: 0,
  deltasSent: 0,
  probes: 0,
};

export const INITIAL_STATUS: LinkStatus = {
  connection: 'none',
  settled: false,
  lastSyncedAtMs: null,
  root: bytesToHex(EMPTY_ROOT),
  storage: 'opening',
  quarantined: 0,
  vouched: 0,
  progress: undefined,
  lastError: null,
  repairs: NOTHING_REPAIRED,
  lostWrites: 0,
};

/** What an application sees, from what the link and the journal say. */
export function roomStatus(link: LinkStatus, pending: RoomStatus['pending']): RoomStatus {
  const { connection, lastSyncedAtMs, root, storage, quarantined, vouched, progress, lastError } = link;
  return {
    connection,
    sync: syncOf(link, pending),
    pending,
    ...(progress === undefined ? {} : { progress }),
    staleness: { lastSyncedAtMs, lagVersions: 0, exceeded: false },
    storage,
    quarantined,
    vouched,
    root,
    lastError,
  };
}

function syncOf(link: LinkStatus, pending: RoomStatus['pending']): RoomStatus['sync'] {
  if (link.connection === 'none') return 'local';
  if (link.connection === 'connected') return link.settled && pending.writes === 0 ? 'in-sync' : 'syncing';
  return link.lastSyncedAtMs === null ? 'local' : 'behind';
}

/** How the transport stands. `refused`: the relay closed with a code that says not to come again. */
export type Attempt = 'none' | 'trying' | 'failed' | 'refused';

/** The connection as people know it. */
export function connectionOf(
  state: ReplicaState,
  network: { readonly isPaused: boolean; readonly attempt: Attempt },
): RoomStatus['connection'] {
  if (network.isPaused) return 'paused';
  if (network.attempt === 'refused') return 'refused';
  switch (state.kind) {
    case 'refused':
      return 'refused';
    case 'catching-up':
    case 'comparing':
    case 'live':
      return 'connected';
    case 'offline':
      return network.attempt === 'trying' ? 'connecting' : 'offline';
    case 'connecting':
    case 'greeting':
      return 'connecting';
  }
}

export function lastErrorOf(error: ErrorFacts, atMs: number): NonNullable<RoomStatus['lastError']> {
  const { code, message, remedy, retryable } = error;
  return { code, message, remedy, retryable, atMs };
}

export function addRepairs(repairs: RepairMetrics, { rows, holes, unreadable, mended }: ScrubFindings): RepairMetrics {
  return {
    ...repairs,
    rowsScrubbed: repairs.rowsScrubbed + rows,
    holesFound: repairs.holesFound + holes,
    rowsUnreadable: repairs.rowsUnreadable + unreadable,
    rowsMended: repairs.rowsMended + mended,
  };
}
