import type { RoomStatus } from '../types.js';

/** `steadyMs`: since some moment; nobody sets it, so it is what durations are measured by. */
export interface PageClock {
  steadyMs(): number;
  nowMs(): number;
}

/** When a room became what it is, by the steady clock. */
export interface Times {
  readonly status: RoomStatus;
  readonly takenAtMs: number;
  /** Since then connected, or since then not. */
  readonly connectionAtMs: number;
  /** The last time that less was pending than before, or nothing was. */
  readonly takenUpAtMs: number;
  /** The last time that something came, or the state of syncing changed. */
  readonly movedAtMs: number;
}

export function beginTimes(status: RoomStatus, nowMs: number): Times {
  return { status, takenAtMs: nowMs, connectionAtMs: nowMs, takenUpAtMs: nowMs, movedAtMs: nowMs };
}

export function noteStatus(before: Times, status: RoomStatus, nowMs: number): Times {
  const was = before.status;
  const isConnected = (of: RoomStatus): boolean => of.connection === 'connected';
  const isTaken = was.pending.writes === 0 || status.pending.writes < was.pending.writes;
  const hasMoved =
    status.sync !== was.sync ||
    status.root !== was.root ||
    status.progress?.bytes !== was.progress?.bytes ||
    status.progress?.deltas !== was.progress?.deltas;
  return {
    status,
    takenAtMs: nowMs,
    connectionAtMs: isConnected(status) === isConnected(was) ? before.connectionAtMs : nowMs,
    takenUpAtMs: isTaken ? nowMs : before.takenUpAtMs,
    movedAtMs: hasMoved ? nowMs : before.movedAtMs,
  };
}
