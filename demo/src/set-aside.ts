/** What the room has set aside, and the way to take it out: quiet, as nothing of what is shown depends on it. */
import type { QuarantineEntry, Room, RoomStatus } from '@mangrove/client';
import { el, setText } from './dom.ts';
import { describeError, formatBytes, formatCount, formatTime } from './format.ts';

const SHOWN_MAX = 20;

const REASONS: Readonly<Record<string, string>> = {
  SIGNATURE_INVALID: 'not signed by whom it names',
  UNDECODABLE: 'cannot be read',
  CHECKPOINT_WRONG: 'is not what it was merged from',
  STORAGE_DAMAGED: 'damaged on this disk',
};

export interface SetAsideElements {
  readonly panel: HTMLDetailsElement;
  readonly summary: HTMLElement;
  readonly list: HTMLElement;
}

export function mountSetAside({ panel, summary, list }: SetAsideElements, room: Room): (status: RoomStatus) => void {
  let shown = 0;
  const draw = async (): Promise<void> => {
    if (!panel.open) return;
    try {
      const entries = await room.quarantine.list({ limit: SHOWN_MAX });
      list.replaceChildren(...entries.map((entry) => itemOf(room, entry)));
    } catch (reason) {
      list.replaceChildren(el('li', { class: 'error' }, describeError(reason)));
    }
  };
  panel.addEventListener('toggle', () => void draw());
  return ({ quarantined }) => {
    if (quarantined === shown) return;
    shown = quarantined;
    panel.hidden = quarantined === 0;
    setText(summary, `${formatCount(quarantined, 'change')} set aside`);
    void draw();
  };
}

function itemOf(room: Room, entry: QuarantineEntry): HTMLElement {
  const said = el('span', { dir: 'auto' }, describeEntry(entry));
  const save = el('button', { class: 'button', type: 'button' }, 'Download');
  save.addEventListener('click', () => {
    room.quarantine.export(entry).then(
      (bytes) => (bytes === undefined ? setText(said, 'It is not here any more.') : download(entry, bytes)),
      (reason: unknown) => setText(said, describeError(reason)),
    );
  });
  return el('li', { class: 'set-aside-item' }, said, save);
}

export function describeEntry(entry: QuarantineEntry, nowMs = Date.now()): string {
  const { code, bytes, replica, sinceMs } = entry;
  const what = { document: 'Of the text', record: 'Of the checklist', unknown: 'Of something' }[entry.kind];
  const parts = [`${what}: ${REASONS[code] ?? code}`, formatBytes(bytes)];
  if (replica !== null) parts.push(`said to be of ${replica.slice(0, 4)}…`);
  if (sinceMs !== null) parts.push(`since ${formatTime(sinceMs, nowMs)}`);
  return parts.join(' · ');
}

function download({ id }: QuarantineEntry, bytes: Uint8Array): void {
  const href = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  el('a', { href, download: `set-aside-${id.slice(0, 12)}.bin` }).click();
  // A download that has not begun yet still needs it.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
