import type { Health, HealthReason, RoomStatus } from '../types.js';

/** What is known of a room at one moment. Everything that ends in `Ms` is how long something has been so by now. */
export interface Signs {
  /** As it was told last. */
  readonly status: RoomStatus;
  readonly statusMs: number;
  /** False before the room is used and after it is closed. */
  readonly isOpen: boolean;
  readonly openMs: number;
  /** Connected, or not connected, whichever it is. */
  readonly connectionMs: number;
  /** Since the relay took something of what was pending, or nothing was. */
  readonly untakenMs: number;
  /** Since something came, or the state of syncing changed. */
  readonly stillMs: number;
  /** Since roots were equal; null: never. */
  readonly unsyncedMs: number | null;
  /** Gone for good. */
  readonly lostWrites: number;
  /** Whether the browser keeps what is stored; null where it does not say. */
  readonly isPersisted: boolean | null;
  readonly workerSilentMs: number;
  /** 0 where this tab is the owner. */
  readonly ownerSilentMs: number;
  /** An update was to be tried, and no worker could be started for it. */
  readonly isUnguarded: boolean;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Another tab may keep the database blocked for half of that. */
const OPENING_MS_MAX = 10_000;
/** Merging the largest documents takes a worker some seconds, in which it answers nothing. */
const SILENT_MS_MAX = 10_000;
/** A connection that was lost is tried again after five seconds at most. */
const APART_MS_MAX = 10_000;
/** Twice what it takes to notice that a connection is dead. */
const STALL_MS = 30_000;
/** Of a connection that is slow and not stalled: 128 kbit/s. */
const BYTES_PER_MS_MIN = 16;

interface Rule {
  readonly reason: HealthReason;
  /** What it leaves of the score is one less this. */
  readonly cost: number;
  readonly isSo: (signs: Signs) => boolean;
}

const RULES: readonly Rule[] = [
  { reason: 'closed', cost: 1, isSo: ({ isOpen }) => !isOpen },
  {
    reason: 'opening',
    cost: 1,
    isSo: ({ status, openMs }) => status.storage === 'opening' && openMs >= OPENING_MS_MAX,
  },
  {
    reason: 'worker-silent',
    cost: 1,
    isSo: ({ status, workerSilentMs }) => status.storage !== 'opening' && workerSilentMs >= SILENT_MS_MAX,
  },
  { reason: 'owner-silent', cost: 0.6, isSo: ({ ownerSilentMs }) => ownerSilentMs >= SILENT_MS_MAX },
  { reason: 'storage-lost', cost: 0.7, isSo: ({ status }) => status.storage === 'lost' },
  { reason: 'writes-lost', cost: 0.5, isSo: ({ lostWrites }) => lostWrites > 0 },
  { reason: 'storage-full', cost: 0.6, isSo: ({ status }) => status.storage === 'full' },
  { reason: 'storage-memory', cost: 0.4, isSo: ({ status }) => status.storage === 'memory' },
  { reason: 'storage-damaged', cost: 0.2, isSo: ({ status }) => isFaulty(status, 'STORAGE_DAMAGED') },
  { reason: 'refused', cost: 0.6, isSo: ({ status }) => status.connection === 'refused' },
  { reason: 'clock-ahead', cost: 0.4, isSo: ({ status }) => isFaulty(status, 'CLOCK_AHEAD') },
  { reason: 'not-taken', cost: 0.5, isSo: isNotTaken },
  {
    reason: 'sync-stalled',
    cost: 0.4,
    isSo: ({ status, connectionMs, stillMs }) =>
      status.connection === 'connected' &&
      status.sync !== 'in-sync' &&
      status.pending.writes === 0 &&
      Math.min(connectionMs, stillMs) >= STALL_MS,
  },
  {
    reason: 'offline',
    cost: 0.2,
    isSo: ({ status, connectionMs }) =>
      (status.connection === 'offline' || status.connection === 'connecting') && connectionMs >= APART_MS_MAX,
  },
  { reason: 'paused', cost: 0.1, isSo: ({ status }) => status.connection === 'paused' },
  {
    reason: 'unsent',
    cost: 0.3,
    isSo: (signs) => isApart(signs.status) && waitingMs(signs) >= HOUR_MS,
  },
  {
    reason: 'evictable',
    cost: 0.1,
    isSo: (signs) => signs.isPersisted === false && !isConnected(signs.status) && waitingMs(signs) >= HOUR_MS,
  },
  {
    reason: 'behind',
    cost: 0.2,
    isSo: ({ status, unsyncedMs }) => isApart(status) && unsyncedMs !== null && unsyncedMs >= DAY_MS,
  },
  {
    reason: 'no-relay',
    cost: 0.1,
    isSo: ({ status }) => status.connection === 'none' && status.pending.writes > 0,
  },
  { reason: 'unguarded', cost: 0.1, isSo: ({ isUnguarded }) => isUnguarded },
  { reason: 'quarantined', cost: 0.1, isSo: ({ status }) => status.quarantined > 0 },
];

/** Whether anything keeps the room from being safe and the same everywhere, the gravest first, and how bad all of it is. */
export function judgeHealth(signs: Signs): Health {
  // What is not looked at is not known.
  const found = (signs.isOpen ? RULES : RULES.slice(0, 1)).filter(({ isSo }) => isSo(signs));
  const score = found.reduce((left, { cost }) => left * (1 - cost), 1);
  return { score: Math.round(score * 100) / 100, reasons: found.map(({ reason }) => reason) };
}

/** Something is pending, there is somebody to send it to, and nothing of it is taken. What is large is given the time that it takes. */
function isNotTaken(signs: Signs): boolean {
  const { status, connectionMs, untakenMs } = signs;
  if (status.connection !== 'connected' || status.pending.writes === 0) return false;
  const waitedMs = Math.min(connectionMs, untakenMs, waitingMs(signs));
  return waitedMs >= STALL_MS + status.pending.bytes / BYTES_PER_MS_MIN;
}

function isConnected({ connection }: RoomStatus): boolean {
  return connection === 'connected';
}

/** Not connected to a relay that there is. */
function isApart(status: RoomStatus): boolean {
  return status.connection !== 'none' && !isConnected(status);
}

/** Of the oldest write that no relay has; 0 where there is none. */
function waitingMs({ status, statusMs }: Signs): number {
  const { oldestAgeMs } = status.pending;
  return oldestAgeMs === null ? 0 : oldestAgeMs + statusMs;
}

/** The latest fault is this one, and the room was not in sync since. */
function isFaulty({ lastError, sync, staleness }: RoomStatus, code: string): boolean {
  if (lastError?.code !== code) return false;
  return sync !== 'in-sync' || (staleness.lastSyncedAtMs ?? 0) < lastError.atMs;
}
