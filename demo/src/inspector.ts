/** What the status line sums up, in full; and how far the last own edit has come on the ladder of receipts. */
import type { Room, RoomStatus, Rung } from '@mangrove/client';
import { el, setText } from './dom.ts';
import { formatAge, formatBytes, formatCount } from './format.ts';

const RUNGS = [
  ['applied', 'applied', 'seen in this tab'],
  ['disk', 'disk', 'written on this device'],
  ['relay', 'relay', 'stored by the relay'],
  ['replicas', 'replicas', 'held by another device'],
] as const satisfies readonly (readonly [Rung, string, string])[];

/** Typing makes an edit with every key: the ladder is asked for the newest of them a few times a second. */
const WATCH_EVERY_MS = 250;

/** Something that was written and can be awaited: a document's edits or a record's receipt. */
export interface Written {
  reached(rung: Rung, options: { signal: AbortSignal }): Promise<void>;
}

export interface Inspector {
  update(status: RoomStatus, elapsedMs: number): void;
  watch(written: Written): void;
}

export function mountInspector(parent: HTMLDetailsElement, room: Room): Inspector {
  const facts = createFacts(room);
  const ladder = createLadder();
  parent.append(el('h3', {}, 'This room'), facts.element, el('h3', {}, 'Your last edit'), ladder.element);

  let latest: readonly [RoomStatus, number] | undefined;
  const draw = (): void => {
    if (parent.open && latest) facts.update(...latest);
  };
  parent.addEventListener('toggle', draw);
  return {
    update(status, elapsedMs) {
      latest = [status, elapsedMs];
      draw();
    },
    watch: ladder.watch,
  };
}

function createFacts(room: Room) {
  const element = el('dl', { class: 'facts' });
  const values = new Map<string, HTMLElement>();
  const update = (status: RoomStatus, elapsedMs: number): void => {
    for (const [name, text] of describeFacts(status, elapsedMs, room)) {
      let value = values.get(name);
      if (!value) {
        value = el('dd', name === 'Root' ? { class: 'root' } : {});
        values.set(name, value);
        element.append(el('div', {}, el('dt', {}, name), value));
      }
      setText(value, text);
    }
  };
  return { element, update };
}

function describeFacts(status: RoomStatus, elapsedMs: number, room: Room): [name: string, text: string][] {
  const { pending, staleness, lastError } = status;
  const { lastSyncedAtMs } = staleness;
  const { score, reasons } = room.health();
  const { persisted } = room.metrics().storage;
  const age = pending.oldestAgeMs === null ? '' : `, oldest ${formatAge(pending.oldestAgeMs + elapsedMs)}`;
  return [
    ['Root', status.root],
    ['Pending', `${formatCount(pending.writes, 'write')}, ${formatBytes(pending.bytes)}${age}`],
    ['Connection', status.connection],
    ['Sync', status.sync],
    ['Health', reasons.length === 0 ? 'well' : `${score}: ${reasons.join(', ')}`],
    ['Last in sync', lastSyncedAtMs === null ? 'never' : `${formatAge(Date.now() - lastSyncedAtMs)} ago`],
    ['Storage', persisted === false ? `${status.storage}, which the browser may delete` : status.storage],
    ['Quarantined', String(status.quarantined)],
    ['Vouched', String(status.vouched)],
    ['Last error', lastError ? `${lastError.code}: ${lastError.message} ${lastError.remedy}` : 'none'],
  ];
}

function createLadder() {
  const steps = RUNGS.map(([rung, name, meaning]) => {
    const time = el('span', { class: 'rung-time' }, '–');
    const element = el('li', { class: 'rung' }, el('span', { class: 'rung-name', title: meaning }, name), time);
    return { rung, element, time };
  });
  const element = el('ol', { class: 'ladder', 'aria-label': 'Durability of your last edit' });
  element.append(...steps.map((step) => step.element));

  let current: AbortController | undefined;
  let next: Written | undefined;
  let isResting = false;

  const start = (written: Written): void => {
    current?.abort();
    const { signal } = (current = new AbortController());
    const startMs = performance.now();
    for (const { rung, element, time } of steps) {
      const show = (state: string, text: string): void => {
        if (signal.aborted) return;
        element.dataset.state = state;
        setText(time, text);
      };
      show('waiting', 'waiting');
      written.reached(rung, { signal }).then(
        () => show('reached', formatMs(performance.now() - startMs)),
        (reason) => show('refused', describeRefusal(reason)),
      );
    }
  };

  const watch = (written: Written): void => {
    if (isResting) {
      next = written;
      return;
    }
    start(written);
    isResting = true;
    setTimeout(() => {
      isResting = false;
      const waiting = next;
      next = undefined;
      if (waiting) watch(waiting);
    }, WATCH_EVERY_MS);
  };
  return { element, watch };
}

function describeRefusal(reason: unknown): string {
  const code = typeof reason === 'object' && reason !== null && 'code' in reason ? String(reason.code) : String(reason);
  return code === 'NO_RELAY' ? 'no relay' : code;
}

function formatMs(ms: number): string {
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : formatAge(ms);
}
