/** What a relay's health is judged by. */
export interface Figures {
  /** How late timers come, in 99 of 100 cases since the last look. */
  readonly eventLoopLagMs: number;
  /** How long the last commits took, smoothed; 0 before the first. */
  readonly commitMs: number;
  readonly queuedBytes: number;
  /** How long the connection that is furthest behind has been so. */
  readonly lagMs: number;
  /** Faults of the relay or its storage, in the last minute. */
  readonly failed: number;
  /** How long nothing was heard of the engine of the fleet; 0 without one. */
  readonly engineSilentMs: number;
  /** Deltas that the storage has lost, found in the last minute. */
  readonly holes: number;
}

export const REASONS = [
  'event-loop-slow',
  'commits-slow',
  'queues-long',
  'sync-lag',
  'faults',
  'storage-lossy',
  'engine-away',
] as const;
export type Reason = (typeof REASONS)[number];

/** From where on a figure costs something, and where all of it is lost. */
const BOUNDS: readonly (readonly [Reason, keyof Figures, fine: number, bad: number])[] = [
  ['event-loop-slow', 'eventLoopLagMs', 100, 2_000],
  ['commits-slow', 'commitMs', 500, 10_000],
  ['queues-long', 'queuedBytes', 64 * 1024 * 1024, 1024 * 1024 * 1024],
  ['sync-lag', 'lagMs', 60_000, 3_600_000],
  ['faults', 'failed', 0, 20],
  ['storage-lossy', 'holes', 0, 100],
  ['engine-away', 'engineSilentMs', 5_000, 60_000],
];

/** The worst figure decides: four good ones do not make up for a disk that forgets. */
export function healthOf(figures: Figures): { readonly score: number; readonly reasons: readonly Reason[] } {
  let score = 1;
  const reasons: Reason[] = [];
  for (const [reason, name, fine, bad] of BOUNDS) {
    const figure = figures[name];
    if (!(figure > fine)) continue;
    reasons.push(reason);
    score = Math.min(score, Math.max(0, 1 - (figure - fine) / (bad - fine)));
  }
  return { score, reasons };
}
