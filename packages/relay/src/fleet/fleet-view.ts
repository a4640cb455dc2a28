import type { Engine } from './engine.js';

/** [RF4] So long may the engine be silent before writers are let go. */
export const AWAY_MS = 5_000;

export interface FleetListener {
  /** It has been away for {@link AWAY_MS}. */
  away(): void;
  /** It can be reached again, maybe after a moment that nobody noticed. */
  back(): void;
}

/** A fleet, as a room sees it. */
export interface FleetView {
  readonly engine: Engine;
  readonly isAway: boolean;
  /** A log is cut when it has so many bytes, or as many as its room where that is more. */
  readonly cutBytes: number;
  listen(listener: FleetListener): () => void;
}
