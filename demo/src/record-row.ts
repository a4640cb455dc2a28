/** One entry of the checklist, and the choice between its versions where there are several. */
import type { Entry, Sibling } from '@mangrove/client';
import { el, setText } from './dom.ts';
import { formatCount, formatTime } from './format.ts';
import { describeVersion, shorten, toItem, withItem } from './item.ts';

export interface RowActions {
  put(value: unknown): Promise<boolean>;
  remove(): Promise<boolean>;
}

export interface Row {
  readonly element: HTMLElement;
  update(entry: Entry<unknown>): void;
}

export function createRow({ put, remove }: RowActions): Row {
  let value: unknown;
  const checkbox = el('input', { type: 'checkbox' });
  const title = el('span', { class: 'title', dir: 'auto' });
  const edit = el('input', { class: 'title-edit', type: 'text', 'aria-label': 'Edit entry', maxlength: '500' });
  const rename = el('button', { type: 'button', class: 'icon', 'aria-label': 'Edit', title: 'Edit' }, icon(PENCIL));
  const drop = el('button', { type: 'button', class: 'icon', 'aria-label': 'Delete', title: 'Delete' }, icon(CROSS));
  const versions = el('div', { class: 'versions' });
  versions.hidden = edit.hidden = true;
  const label = el('label', { class: 'check' }, checkbox, title);
  const element = el('li', { class: 'record' }, label, edit, rename, drop, versions);

  const endEdit = (isKept: boolean): void => {
    if (edit.hidden) return;
    const typed = edit.value.trim();
    const hadFocus = edit === document.activeElement;
    edit.hidden = true;
    label.hidden = rename.hidden = false;
    if (hadFocus) rename.focus();
    if (isKept && typed && typed !== toItem(value).title) void put(withItem(value, { title: typed }));
  };
  const startEdit = (): void => {
    edit.value = toItem(value).title;
    label.hidden = rename.hidden = true;
    edit.hidden = false;
    edit.focus();
    edit.select();
  };

  checkbox.addEventListener('change', () => {
    const { done } = toItem(value);
    void put(withItem(value, { done: !done })).then((isWritten) => {
      if (!isWritten) checkbox.checked = done;
    });
  });
  rename.addEventListener('click', startEdit);
  edit.addEventListener('keydown', (event) => {
    if (event.isComposing || (event.key !== 'Enter' && event.key !== 'Escape')) return;
    // The focus goes to the button, which would take the same key as a press.
    event.preventDefault();
    endEdit(event.key === 'Enter');
  });
  edit.addEventListener('blur', () => endEdit(true));
  drop.addEventListener('click', () => void remove());

  return {
    element,
    update(entry) {
      value = entry.value;
      const item = toItem(value);
      setText(title, shorten(item.title));
      checkbox.checked = item.done;
      element.classList.toggle('done', item.done);
      drawVersions(versions, entry.siblings, (chosen) => (chosen === undefined ? remove() : put(chosen)));
    },
  };
}

/** Names the versions for their buttons. What the client calls a version is opaque, so it may not be fit for an id. */
let versionCount = 0;

/** Writing a value supersedes all siblings that were seen, so choosing one is a normal write. */
function drawVersions(
  parent: HTMLElement,
  siblings: readonly Sibling<unknown>[],
  choose: (value: unknown) => Promise<boolean>,
): void {
  parent.hidden = siblings.length < 2;
  parent.replaceChildren();
  if (parent.hidden) return;
  const hint = el(
    'p',
    { class: 'hint' },
    `${formatCount(siblings.length, 'version')}, written without seeing each other:`,
  );
  const lines = siblings.map(({ value, writtenAtMs, replica }) => {
    const text = el('span', { class: 'version', dir: 'auto' }, describeVersion(value));
    const written = el(
      'small',
      { class: 'version-origin', title: new Date(writtenAtMs).toLocaleString() },
      `${formatTime(writtenAtMs)}, device ${replica.slice(0, 4)}`,
    );
    text.id = `version-${(versionCount += 1)}`;
    const keep = el('button', { type: 'button', class: 'button small', 'aria-describedby': text.id }, 'Keep');
    keep.addEventListener('click', () => void choose(value));
    return el('div', { class: 'version-line' }, text, written, keep);
  });
  parent.append(hint, ...lines);
}

const PENCIL = 'M9.5 2.5 11.5 4.5 5 11 2.5 11.5 3 9z';
const CROSS = 'M3.5 3.5 10.5 10.5M10.5 3.5 3.5 10.5';

function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  for (const [name, value] of [
    ['viewBox', '0 0 14 14'],
    ['width', '14'],
    ['height', '14'],
    ['aria-hidden', 'true'],
  ] as const) {
    svg.setAttribute(name, value);
  }
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}
