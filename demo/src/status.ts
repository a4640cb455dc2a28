/** The room's status as a person would want to hear it: is my text safe, and do we all see the same? */
import type { RoomStatus } from '@mangrove/client';
import { formatAge, formatCount, formatRoot } from './format.ts';
import { setText } from './dom.ts';

/** ok: safe and equal. busy: on its way. waiting: safe here, not sent. trouble: the person has to know or to act. */
export type Tone = 'ok' | 'busy' | 'waiting' | 'trouble';

export interface StatusText {
  readonly tone: Tone;
  readonly headline: string;
  readonly detail: string;
}

/** `elapsedMs`: how long ago the snapshot was taken, as the age of an edit goes on while nothing changes. */
export function describeStatus(status: RoomStatus, elapsedMs = 0): StatusText {
  const { tone, headline, detail = [] } = describeTrouble(status) ?? describeNetwork(status);
  const parts = [...detail, ...describeAges(status, elapsedMs), ...describeFaults(status)];
  return { tone, headline, detail: parts.join(' · ') };
}

interface Description {
  readonly tone: Tone;
  readonly headline: string;
  readonly detail?: readonly string[];
}

/** What stands above the network: edits that are not kept, or that nobody will take. */
function describeTrouble(status: RoomStatus): Description | undefined {
  const { pending, storage } = status;
  if (storage === 'lost') {
    return {
      tone: 'trouble',
      headline: 'The storage of this device was lost',
      detail: [
        status.sync === 'in-sync' && pending.writes === 0
          ? 'All of it is at the relay: reload this tab'
          : 'What you write is only in this tab: keep it open until it is in sync',
      ],
    };
  }
  if (storage === 'full') {
    return {
      tone: 'trouble',
      headline: 'No space left on this device',
      detail: [
        pending.writes > 0 ? 'New edits are only in this tab: keep it open and free some space' : 'Free some space',
      ],
    };
  }
  if (status.connection === 'refused') {
    const detail = pending.writes > 0 ? [`${waiting(status)}, ${place(status)}`] : [];
    return { tone: 'trouble', headline: 'Not allowed in this room', detail };
  }
  return undefined;
}

function describeNetwork(status: RoomStatus): Description {
  if (status.storage === 'opening') return { tone: 'busy', headline: 'Opening…' };
  switch (status.connection) {
    case 'none':
      return { tone: keptTone(status), headline: `Local only, ${place(status)}` };
    case 'paused':
      return { tone: keptTone(status), headline: describeApart(status, 'Paused') };
    case 'offline':
      return { tone: keptTone(status), headline: describeApart(status, 'Offline') };
    case 'connecting':
      return {
        tone: 'busy',
        headline: status.pending.writes > 0 ? describeApart(status, 'Connecting') : 'Connecting…',
      };
    case 'connected':
      return describeSync(status);
    default:
      return { tone: 'busy', headline: 'Opening…' };
  }
}

function describeSync(status: RoomStatus): Description {
  const { pending, progress, sync } = status;
  const unkept = status.storage === 'memory' ? ['Not kept on this device'] : [];
  if (sync === 'in-sync') return { tone: 'ok', headline: `In sync, root ${formatRoot(status.root)}`, detail: unkept };
  const detail = pending.writes > 0 ? [waiting(status), ...unkept] : unkept;
  if (progress && progress.deltasTotal > 0) {
    const { deltas, deltasTotal } = progress;
    return {
      tone: 'busy',
      headline: `Syncing ${deltas.toLocaleString('en')} of ${formatCount(deltasTotal, 'delta')}`,
      detail,
    };
  }
  return { tone: 'busy', headline: sync === 'behind' ? 'Catching up…' : 'Syncing…', detail };
}

function describeApart(status: RoomStatus, how: string): string {
  if (status.pending.writes === 0) return `${how}: nothing waiting`;
  return `${how}: ${waiting(status)}, ${place(status)}`;
}

function describeAges(status: RoomStatus, elapsedMs: number): string[] {
  const parts: string[] = [];
  const { oldestAgeMs } = status.pending;
  // While connected an edit waits for milliseconds: its age is news only when it does not go away.
  const ageMs = oldestAgeMs === null ? 0 : oldestAgeMs + elapsedMs;
  const newsMs = status.connection === 'connected' ? 2_000 : 1_000;
  if (ageMs >= newsMs && status.connection !== 'none') parts.push(`oldest edit ${formatAge(ageMs)} ago`);
  if (status.staleness.exceeded) parts.push('what you see is older than this room allows');
  return parts;
}

/** What does not come back is told until something else is to be told. */
const LASTING: readonly string[] = ['STORAGE_LOST', 'DELTA_LOST'];

function describeFaults({ lastError, storage, sync, staleness }: RoomStatus): string[] {
  const parts: string[] = [];
  // An error from before the last time that all was well is history, and history is in the inspector.
  // While nothing is kept here the reason of that is no history, and may be mended by who reads it.
  const isKept = storage !== 'lost' && storage !== 'memory';
  const isOver = isKept && sync === 'in-sync' && (staleness.lastSyncedAtMs ?? 0) >= (lastError?.atMs ?? 0);
  if (lastError && (!isOver || LASTING.includes(lastError.code)))
    parts.push(`${lastError.message} ${lastError.remedy}`.trim());
  return parts;
}

function waiting({ pending }: RoomStatus): string {
  return `${formatCount(pending.writes, 'edit')} waiting`;
}

function place({ storage }: RoomStatus): string {
  return storage === 'memory' ? 'only in this tab' : 'safe on this device';
}

function keptTone({ storage }: RoomStatus): Tone {
  return storage === 'memory' ? 'trouble' : 'waiting';
}

export interface StatusElements {
  readonly strip: HTMLElement;
  readonly status: HTMLElement;
  readonly detail: HTMLElement;
}

/**
 * Good news waits for calm: each keystroke is a short sync, and a screen reader would read every one of them out. That all is
 * well no longer is said at once: words that lag behind must not claim more than is true.
 */
const SETTLE_MS = 400;
const SPEAK_MS_MAX = 2_000;

export function mountStatus(elements: StatusElements): (status: RoomStatus, elapsedMs: number) => void {
  let shown: StatusText | undefined;
  let next: StatusText;
  let isWaitingShown = false;
  let isWaiting = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let heldSinceMs = 0;

  const show = (): void => {
    clearTimeout(timer);
    timer = undefined;
    shown = next;
    isWaitingShown = isWaiting;
    elements.strip.dataset.tone = next.tone;
    setText(elements.status, next.headline);
    setText(elements.detail, next.detail);
  };

  return (status, elapsedMs) => {
    const { status: element } = elements;
    element.dataset.connection = status.connection;
    element.dataset.sync = status.sync;
    element.dataset.pending = String(status.pending.writes);
    element.dataset.root = status.root;

    next = describeStatus(status, elapsedMs);
    isWaiting = status.pending.writes > 0;
    if (shown?.headline === next.headline) return show();
    const isCalm = shown === undefined || shown.tone === 'ok' || (shown.tone !== next.tone && next.tone !== 'busy');
    // Nor that nothing waits where something does.
    if (isCalm || (isWaiting && !isWaitingShown)) return show();
    const nowMs = performance.now();
    if (timer === undefined) heldSinceMs = nowMs;
    clearTimeout(timer);
    timer = setTimeout(show, Math.max(0, Math.min(SETTLE_MS, heldSinceMs + SPEAK_MS_MAX - nowMs)));
  };
}
