/** When the page gives way to a new version of itself, as a decision; `update.ts` does what it says. */

export interface TakeoverState {
  /** A new version is on the device, whole. */
  readonly isReady: boolean;
  /** The person has said so. */
  readonly isWanted: boolean;
  /** Something is in the page alone: an edit on its way to the disk, a line that was begun. */
  readonly isUnsaved: boolean;
  /** Somebody looks at the page. */
  readonly isVisible: boolean;
}

/** stay: nothing to do. ask: say that there is a new version, and go on. reload: nothing is lost and nobody is interrupted. */
export type Takeover = 'stay' | 'ask' | 'reload';

export function decideTakeover({ isReady, isWanted, isUnsaved, isVisible }: TakeoverState): Takeover {
  if (!isReady) return 'stay';
  if (isWanted) return 'reload';
  return isUnsaved || isVisible ? 'ask' : 'reload';
}
