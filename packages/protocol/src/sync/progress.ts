import { isStub } from '../stub.js';
import type { Ahead, DeltaBytes } from '../wire/messages.js';

/** How far a catch-up has come, over this connection. Totals are what the relay said, or more where more came. */
export interface Progress {
  readonly deltas: number;
  readonly deltasTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

export const NO_PROGRESS: Progress = { deltas: 0, deltasTotal: 0, bytes: 0, bytesTotal: 0 };

export function announced(progress: Progress, { deltas, bytes }: Ahead): Progress {
  return { ...progress, deltasTotal: progress.deltasTotal + deltas, bytesTotal: progress.bytesTotal + bytes };
}

/** What came whole counts at once, of the others their parts. */
export function cameWhole(progress: Progress, entries: readonly DeltaBytes[]): Progress {
  const whole = entries.filter((entry) => !isStub(entry));
  return {
    ...progress,
    deltas: progress.deltas + whole.length,
    bytes: progress.bytes + whole.reduce((sum, entry) => sum + entry.length, 0),
  };
}
