/** A copy of the room in a file, and the way back: for a shelf, for another device, or where there is no relay. */
import type { Client, RestoreResult, Room } from '@mangrove/client';
import { roomHref } from './address.ts';
import { el, setText } from './dom.ts';
import { describeError, formatCount } from './format.ts';

/** What each copy begins with. */
const MAGIC = 'mangrove:backup';

export interface BackupElements {
  readonly save: HTMLButtonElement;
  readonly restore: HTMLButtonElement;
  readonly file: HTMLInputElement;
  readonly said: HTMLElement;
}

/** Where a browser lets a page write to a file that a person chose. */
interface FilePickers {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<{
    createWritable(): Promise<WritableStream<Uint8Array>>;
  }>;
}

export function mountBackup({ save, restore, file, said }: BackupElements, client: Client, room: Room): void {
  const run = async (doing: string, work: () => Promise<string | Node>): Promise<void> => {
    save.disabled = restore.disabled = true;
    said.classList.remove('error');
    said.hidden = false;
    setText(said, doing);
    try {
      said.replaceChildren(await work());
    } catch (reason) {
      // Closing the dialog of a browser is no failure.
      const isDismissed = reason instanceof DOMException && reason.name === 'AbortError';
      said.hidden = isDismissed;
      said.classList.toggle('error', !isDismissed);
      setText(said, describeError(reason));
    } finally {
      save.disabled = restore.disabled = false;
    }
  };

  save.addEventListener('click', () => void run('Saving…', () => saveCopy(room)));
  restore.addEventListener('click', () => file.click());
  file.addEventListener('change', () => {
    const [chosen] = file.files ?? [];
    // The same file can be chosen again.
    file.value = '';
    if (chosen === undefined) return;
    void run('Restoring…', async () => {
      if ((await chosen.slice(0, MAGIC.length).text()) !== MAGIC) return 'This file is no copy that was saved here.';
      return describeRestored(await client.restore(chosen.stream()), room.name);
    });
  });
}

async function saveCopy(room: Room): Promise<string> {
  const suggestedName = `${room.name.replaceAll(/[^\p{L}\p{N}_-]+/gu, '-')}-${new Date().toISOString().slice(0, 10)}.mangrove`;
  const { showSaveFilePicker } = globalThis as FilePickers;
  if (showSaveFilePicker !== undefined) {
    // Asked for first: a browser shows its dialog only right after a click.
    const chosen = await showSaveFilePicker.call(globalThis, { suggestedName });
    await (await room.backup()).pipeTo(await chosen.createWritable());
    return 'Saved.';
  }
  const href = URL.createObjectURL(await new Response(await room.backup()).blob());
  el('a', { href, download: suggestedName }).click();
  // A download that has not begun yet still needs it.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
  return 'Saved to your downloads.';
}

function describeRestored({ rooms, deltas }: RestoreResult, here: string): string | Node {
  const count =
    deltas === 0 ? 'Nothing in it that was not here already.' : `Restored ${formatCount(deltas, 'change')}.`;
  const others = rooms.filter((name) => name !== here);
  if (others.length === 0) return count;
  const links = others.flatMap((name) => [' ', el('a', { href: roomHref(location.href, name), dir: 'auto' }, name)]);
  return el('span', {}, `${count} It is of another room:`, ...links);
}
