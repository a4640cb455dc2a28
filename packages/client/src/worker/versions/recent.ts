import { type Delta, FLAG, hasFlag, type Hlc, hlcToMs, updateOfDelta } from '@mangrove/protocol';
import { updatesToState } from '../../documents/merge.js';
import type { Version } from '../../types.js';

/** What one writer writes without a pause of this length is one step of the history. */
const PAUSE_MS = 60_000;
const RECENT_MAX = 100;
/** No version that was saved begins so. */
const MARK = '~';

export const isRecent = (id: string): boolean => id.startsWith(MARK);

/**
 * How a document can be read as it was, from its latest checkpoint on, newest first [VS5]. `isNow`: whether the last of them is how it reads
 * now, and so no earlier state.
 */
export function listRecent(deltas: readonly Delta[], isNow: boolean): readonly Version[] {
  const steps: Delta[][] = [];
  for (const delta of sinceCheckpoint(deltas)) {
    const step = steps.at(-1);
    const last = step?.at(-1);
    const isSame = last?.replica === delta.replica && hlcToMs(delta.hlc) - hlcToMs(last.hlc) < PAUSE_MS;
    if (step !== undefined && isSame) step.push(delta);
    else steps.push([delta]);
  }
  const earlier = isNow ? steps.slice(0, -1) : steps;
  return earlier
    .slice(-RECENT_MAX)
    .reverse()
    .map((step) => {
      const { hlc, writtenAt, replica } = step.at(-1) as Delta;
      const bytes = step.reduce((sum, { body }) => sum + body.length, 0);
      return { id: `${MARK}${hlc.toString(36)}`, kind: 'recent', name: null, atMs: hlcToMs(writtenAt), replica, bytes };
    });
}

/** The state that such a version stands for; undefined where what it rests upon is merged away by now. */
export function readRecent(deltas: readonly Delta[], id: string): Uint8Array | undefined {
  const hlc = Number.parseInt(id.slice(MARK.length), 36);
  const isThere = sinceCheckpoint(deltas).some((delta) => delta.hlc === hlc);
  if (!isThere) return undefined;
  return updatesToState(deltas.filter((delta) => delta.hlc <= (hlc as Hlc)).map(updateOfDelta));
}

/** In the order of stamps, which follows causes: the latest checkpoint, and what is not in it or came later. */
function sinceCheckpoint(deltas: readonly Delta[]): readonly Delta[] {
  const inOrder = deltas.toSorted((a, b) => a.hlc - b.hlc);
  const latest = inOrder.findLastIndex((delta) => hasFlag(delta, FLAG.checkpoint));
  return inOrder.slice(Math.max(0, latest));
}
