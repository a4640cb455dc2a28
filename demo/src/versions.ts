/** Earlier versions of the text: saved ones by name, what its edits still tell, a look at each and the way back. */
import type { DocumentHandle, Receipt, Version } from '@mangrove/client';
import { el, setText } from './dom.ts';
import { describeError, formatTime } from './format.ts';

const PAGE = 20;

export interface VersionElements {
  readonly panel: HTMLDetailsElement;
  readonly form: HTMLFormElement;
  readonly input: HTMLInputElement;
  readonly list: HTMLElement;
  readonly more: HTMLButtonElement;
  readonly said: HTMLElement;
  readonly look: HTMLDialogElement;
}

type Versions = Pick<DocumentHandle['versions'], 'list' | 'save' | 'view' | 'restore' | 'delete'>;

export function mountVersions(
  { panel, form, input, list, more, said, look }: VersionElements,
  versions: Versions,
  onWrite: (receipt: Receipt) => void,
): void {
  let last: string | undefined;

  const run = async (work: () => Promise<string>): Promise<void> => {
    said.classList.remove('error');
    try {
      setText(said, await work());
    } catch (reason) {
      said.classList.add('error');
      setText(said, describeError(reason));
    }
    said.hidden = said.textContent === '';
  };

  const add = async (after: string | undefined): Promise<string> => {
    const page = await versions.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    last = page.at(-1)?.id;
    more.hidden = page.length < PAGE;
    const items = page.map(itemOf);
    if (after === undefined) list.replaceChildren(...items);
    else list.append(...items);
    return list.childElementCount === 0
      ? 'None yet. Name a moment to keep it; each pause in writing is listed, too.'
      : '';
  };

  const itemOf = (version: Version): HTMLElement => {
    const buttons = [button('Look', () => show(version)), button('Restore', () => restore(version))];
    if (version.kind !== 'recent') buttons.push(button('Delete', () => remove(version)));
    return el(
      'li',
      { class: 'earlier-item' },
      el('span', { class: 'earlier-name', dir: 'auto' }, describeVersion(version)),
      el('span', { class: 'earlier-acts' }, ...buttons),
    );
  };

  const button = (label: string, act: () => Promise<string>): HTMLElement => {
    const made = el('button', { class: 'button small', type: 'button' }, label);
    made.addEventListener('click', () => void run(act));
    return made;
  };

  const show = async (version: Version): Promise<string> => {
    const ydoc = await versions.view(version.id);
    const text = ydoc.getText('content').toString();
    ydoc.destroy();
    const close = el('button', { class: 'button', type: 'button' }, 'Close');
    close.addEventListener('click', () => look.close());
    const back = el('button', { class: 'button primary', type: 'button' }, 'Restore this');
    back.addEventListener('click', () => {
      look.close();
      void run(() => restore(version));
    });
    look.replaceChildren(
      el('h2', { dir: 'auto' }, describeVersion(version)),
      el('pre', { class: 'earlier-text', dir: 'auto', tabindex: '0' }, text || 'It was empty.'),
      el('div', { class: 'row shelf' }, back, close),
    );
    look.showModal();
    return '';
  };

  const restore = async (version: Version): Promise<string> => {
    onWrite(await versions.restore(version.id));
    await add(undefined);
    return `The text reads as of ${formatTime(version.atMs)} again. How it was before is listed, too.`;
  };

  const remove = async (version: Version): Promise<string> => {
    onWrite(await versions.delete(version.id));
    await add(undefined);
    return 'Deleted, for everybody in the room.';
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return;
    void run(async () => {
      await versions.save(name);
      input.value = '';
      return add(undefined);
    });
  });
  more.addEventListener('click', () => void run(() => add(last)));
  panel.addEventListener('toggle', () => panel.open && void run(() => add(undefined)));
}

const KINDS: Readonly<Record<Version['kind'], string>> = {
  named: 'Saved',
  automatic: 'Before a version was restored',
  recent: 'Edited',
};

/** What it is and when that was. */
export function describeVersion({ kind, name, atMs, replica }: Version, nowMs = Date.now()): string {
  const when = formatTime(atMs, nowMs);
  if (name !== null) return `${name} · ${when}`;
  return kind === 'recent' ? `${KINDS[kind]} by ${replica.slice(0, 4)}… · ${when}` : `${KINDS[kind]} · ${when}`;
}
