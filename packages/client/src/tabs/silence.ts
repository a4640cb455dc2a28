/** What a tab knows of the owner of its replica when it looks. */
export interface OwnerSeen {
  /** How many asks in a row the owner has left without an answer. */
  readonly unanswered: number;
  /** How long this tab meant to wait before it looked, and how long it did. One that slept itself has heard nothing, whoever spoke. */
  readonly meantMs: number;
  readonly tookMs: number;
}

/** `ask-anew`: what was not answered before does not count. `steal`: the owner is taken to be frozen, and its lock is to be taken by force. */
export type OwnerVerdict = 'ask' | 'ask-anew' | 'steal';

/** An owner that computes answers late. Stealing from it loses nothing, but is work for all. */
const UNANSWERED_MAX = 5;

/** The tab that somebody looks at comes first: one in the background can wait. */
export function lookAfterMs(isVisible: boolean): number {
  return isVisible ? 1_000 : 5_000;
}

/** What is to be done about an owner. It is asked rather than listened for, so that no timer of its own has to run on time. */
export function judgeOwner({ unanswered, meantMs, tookMs }: OwnerSeen): OwnerVerdict {
  // A clock that was set passes for a sleep.
  const hasSlept = tookMs > 2 * meantMs || tookMs < meantMs / 2;
  if (hasSlept) return 'ask-anew';
  return unanswered < UNANSWERED_MAX ? 'ask' : 'steal';
}
