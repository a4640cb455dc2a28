import type { Limits } from '../limits.js';

/**
 * How long until roots are compared again [AE4]: `calm` comparisons in a row have found nothing to do. Twice as long after each, so
 * that a room nobody writes in costs next to nothing; `jitter`, from 0 to 1, spreads replicas that have become calm together.
 */
export function checkDelayMs(
  calm: number,
  jitter: number,
  { checkMsMin, checkMsMax }: Pick<Limits, 'checkMsMin' | 'checkMsMax'>,
): number {
  const delayMs = Math.min(checkMsMin * 2 ** calm, checkMsMax);
  return delayMs * (1 - jitter / 4);
}
