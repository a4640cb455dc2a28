import type { ErrorCode } from '@mangrove/protocol';

const AHEAD_MS = 10_000;
const REFUSED_MS = 60_000;
/** What lies under a floor, or is covered unseen, is sealed above that as soon as it has come. */
const SHORTLY: ReadonlySet<ErrorCode> = new Set(['CLOCK_AHEAD', 'UNDER_FLOOR', 'COVERED_UNSEEN']);

/** How long a refused delta's content waits before it is sealed anew. */
export const holdMsAfter = (code: ErrorCode): number => (SHORTLY.has(code) ? AHEAD_MS : REFUSED_MS);
