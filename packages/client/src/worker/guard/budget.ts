/** What the smallest update may take. */
const TRY_MS = 2_000;
const MS_PER_KIB = 4;
/** The second try has so much more: the first may have been on a device that had no time. */
const AGAIN = 4;
/** What a document itself may take to load, so many times what an update of its size may. */
const LOAD = 4;

export const TRIES = 2;
/** How often time is counted. */
export const TICK_MS = 100;
/** An answer may be there already when the time is up, and be heard behind that. */
export const GRACE_MS = 50;

/** How long a trial of updates of so many bytes may take. `round`: 0 for the first try. */
export function tryBudgetMs(bytes: number, round: number): number {
  return (TRY_MS + (bytes / 1_024) * MS_PER_KIB) * AGAIN ** round;
}

export function loadBudgetMs(bytes: number): number {
  return LOAD * tryBudgetMs(bytes, 0);
}

/** What a tick counts for: a device that sleeps, or has no time for who counts, does not use up what somebody else computes with. */
export function tickMs(sinceMs: number): number {
  return Math.min(Math.max(0, sinceMs), 2 * TICK_MS);
}
