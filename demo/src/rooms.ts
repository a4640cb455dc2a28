/** The room's name, its link, and the way to other rooms. */
import { roomHref } from './address.ts';
import { el, setText } from './dom.ts';

const STORAGE_KEY = 'mangrove.rooms';
const RECENT_MAX = 8;
const SAID_MS = 2_000;

export interface RoomElements {
  readonly button: HTMLButtonElement;
  readonly name: HTMLElement;
  readonly panel: HTMLElement;
  readonly form: HTMLFormElement;
  readonly input: HTMLInputElement;
  readonly recent: HTMLElement;
  readonly copy: HTMLButtonElement;
  readonly copySaid: HTMLElement;
}

export function mountRooms(elements: RoomElements, room: string): void {
  setText(elements.name, room);
  document.title = `${room} · Mangrove`;
  const recent = rememberRoom(room).filter((name) => name !== room);
  elements.recent.replaceChildren(
    ...recent.map((name) => el('a', { href: roomHref(location.href, name), dir: 'auto' }, name)),
  );

  mountPanel(elements);
  mountCopy(elements, room);
  // Another room is another page: everything of this one ends with it, whatever it was in the middle of.
  elements.form.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = elements.input.value.trim();
    if (name) location.assign(roomHref(location.href, name));
  });
}

function mountPanel({ button, panel, input }: RoomElements): void {
  const setOpen = (isOpen: boolean): void => {
    panel.hidden = !isOpen;
    button.setAttribute('aria-expanded', String(isOpen));
    if (isOpen) input.focus();
  };
  button.addEventListener('click', () => setOpen(Boolean(panel.hidden)));
  addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || panel.hidden) return;
    setOpen(false);
    button.focus();
  });
  addEventListener('pointerdown', ({ target }) => {
    if (target instanceof Node && !panel.contains(target) && !button.contains(target)) setOpen(false);
  });
}

function mountCopy({ copy, copySaid }: RoomElements, room: string): void {
  const idle = copy.textContent;
  let timer: ReturnType<typeof setTimeout> | undefined;
  copy.addEventListener('click', async () => {
    const href = roomHref(location.href, room);
    try {
      await navigator.clipboard.writeText(href);
    } catch {
      // No permission, or a page that is not secure: the person can still copy it by hand.
      prompt('The link of this room', href);
      return;
    }
    setText(copy, 'Copied');
    setText(copySaid, 'Link copied');
    clearTimeout(timer);
    timer = setTimeout(() => {
      setText(copy, idle);
      setText(copySaid, '');
    }, SAID_MS);
  });
}

function rememberRoom(room: string): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '[]');
    const names = Array.isArray(stored) ? stored.filter((name) => typeof name === 'string') : [];
    const next = [room, ...names.filter((name) => name !== room)].slice(0, RECENT_MAX + 1);
    localStorage.setItem(STORAGE_KEY, JSON.stringify(next));
    return next;
  } catch {
    return [room];
  }
}
