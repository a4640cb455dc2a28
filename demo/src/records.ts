/** The checklist: a collection whose entries keep concurrent values side by side until somebody chooses. */
import type { Collection, Entry, Receipt, Sibling } from '@mangrove/client';
import { el, setText } from './dom.ts';
import { formatCount } from './format.ts';

export interface RecordElements {
  readonly list: HTMLElement;
  readonly form: HTMLFormElement;
  readonly input: HTMLInputElement;
  readonly error: HTMLElement;
  readonly empty: HTMLElement;
  readonly count: HTMLElement;
}

/** What the checklist writes. Others may have put anything into the collection, so it reads `unknown`. */
export interface Item {
  readonly title: string;
  readonly done: boolean;
}

const TITLE_LENGTH_MAX = 2_000;
const DRAW_EVERY_MS = 16;

export function mountRecords(
  elements: RecordElements,
  records: Collection<unknown>,
  onWrite: (receipt: Receipt) => void,
): void {
  const { list, form, input, error, empty, count } = elements;
  const entries = new Map<string, Entry<unknown>>();
  const rows = new Map<string, Row>();
  const stale = new Set<string>();
  let isDrawn = true;

  const write = async (run: () => Promise<Receipt>): Promise<boolean> => {
    try {
      onWrite(await run());
      error.hidden = true;
      return true;
    } catch (reason) {
      setText(error, describeError(reason));
      error.hidden = false;
      return false;
    }
  };

  const apply = (id: string, entry: Entry<unknown> | undefined): void => {
    if (entry) entries.set(id, entry);
    else entries.delete(id);
    stale.add(id);
    // A first sync brings thousands of entries in many batches. No animation frame: hidden tabs would wait for ever.
    if (isDrawn) setTimeout(draw, DRAW_EVERY_MS);
    isDrawn = false;
  };

  const draw = (): void => {
    isDrawn = true;
    for (const id of stale) {
      const entry = entries.get(id);
      if (entry) drawRow(id, entry);
      else removeRow(id);
    }
    stale.clear();
    const done = [...entries.values()].filter(({ value }) => toItem(value).done).length;
    setText(count, entries.size > 0 ? `${done}/${entries.size}` : '');
    empty.hidden = entries.size > 0;
  };

  const drawRow = (id: string, entry: Entry<unknown>): void => {
    let row = rows.get(id);
    if (!row) {
      row = createRow({
        put: (value) => write(() => records.put(id, value)),
        remove: () => write(() => records.delete(id)),
      });
      rows.set(id, row);
      row.element.dataset.id = id;
      list.insertBefore(row.element, rowAfter(id));
    }
    row.update(entry);
  };

  /** The list is in the order of the ids. What is new has the highest, so looking from the end finds its place at once. */
  const rowAfter = (id: string): Element | null => {
    let after: Element | null = null;
    let before = list.lastElementChild;
    while (before instanceof HTMLElement && (before.dataset.id ?? '') > id) {
      after = before;
      before = before.previousElementSibling;
    }
    return after;
  };

  const removeRow = (id: string): void => {
    const row = rows.get(id);
    if (!row) return;
    if (row.element.contains(document.activeElement)) {
      const near = row.element.nextElementSibling ?? row.element.previousElementSibling;
      (near?.querySelector<HTMLElement>('input[type=checkbox]') ?? input).focus();
    }
    row.element.remove();
    rows.delete(id);
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const title = input.value.trim();
    if (!title) return;
    input.value = '';
    const item: Item = { title, done: false };
    void write(() => records.put(newId(), item)).then((isWritten) => {
      if (!isWritten && !input.value) input.value = title;
    });
  });

  records.subscribe((changes) => {
    for (const { id, entry } of changes) apply(id, entry);
  });
  // What changed while the listing was read is newer than the listing.
  void records.entries().then(
    (listed) => {
      for (const [id, entry] of listed) if (!entries.has(id) && !stale.has(id)) apply(id, entry);
    },
    (reason) => {
      setText(error, describeError(reason));
      error.hidden = false;
    },
  );
}

interface RowActions {
  put(value: unknown): Promise<boolean>;
  remove(): Promise<boolean>;
}

interface Row {
  readonly element: HTMLElement;
  update(entry: Entry<unknown>): void;
}

function createRow({ put, remove }: RowActions): Row {
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
      setText(title, item.title);
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
  const lines = siblings.map(({ value }) => {
    const text = el('span', { class: 'version', dir: 'auto' }, describeVersion(value));
    text.id = `version-${(versionCount += 1)}`;
    const keep = el('button', { type: 'button', class: 'button small', 'aria-describedby': text.id }, 'Keep');
    keep.addEventListener('click', () => void choose(value));
    return el('div', { class: 'version-line' }, text, keep);
  });
  parent.append(hint, ...lines);
}

function describeVersion(value: unknown): string {
  if (value === undefined) return 'Deleted';
  const { title, done } = toItem(value);
  return done ? `${title} (done)` : title;
}

function toItem(value: unknown): Item {
  if (typeof value !== 'object' || value === null) return { title: shorten(String(value)), done: false };
  const { title, text, done } = value as Record<string, unknown>;
  const shown = typeof title === 'string' ? title : typeof text === 'string' ? text : JSON.stringify(value);
  return { title: shorten(shown), done: done === true };
}

function withItem(value: unknown, change: Partial<Item>): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return { ...(isObject ? value : toItem(value)), ...change };
}

function shorten(text: string): string {
  return text.length > TITLE_LENGTH_MAX ? `${text.slice(0, TITLE_LENGTH_MAX)}…` : text;
}

/** In the order of their making, as ids are listed in the order of their bytes. */
function newId(): string {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return `${Date.now().toString(36).padStart(9, '0')}-${[...random].map((word) => word.toString(36).padStart(7, '0')).join('')}`;
}

function describeError(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const remedy = 'remedy' in reason ? String(reason.remedy) : '';
  return `${reason.message} ${remedy}`.trim();
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
