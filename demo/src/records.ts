/** The checklist: a collection whose entries keep concurrent values side by side until somebody chooses. */
import type { Collection, Entry, Receipt } from '@mangrove/client';
import { setText } from './dom.ts';
import { describeError } from './format.ts';
import { type Item, toItem } from './item.ts';
import { createRow, type Row } from './record-row.ts';

export interface RecordElements {
  readonly list: HTMLElement;
  readonly form: HTMLFormElement;
  readonly input: HTMLInputElement;
  readonly error: HTMLElement;
  readonly empty: HTMLElement;
  readonly count: HTMLElement;
}

const DRAW_EVERY_MS = 16;

export function mountRecords(
  elements: RecordElements,
  records: Collection<unknown>,
  onWrite: (receipt: Receipt) => void,
): void {
  const { list, form, input, error, empty, count } = elements;
  const entries = new Map<string, Entry<unknown>>();
  const rows = new Map<string, Row>();
  const order: string[] = [];
  const stale = new Set<string>();
  let isDrawn = true;

  const showError = (reason: unknown): void => {
    setText(error, describeError(reason));
    error.hidden = false;
  };

  const write = async (run: () => Promise<Receipt>): Promise<boolean> => {
    try {
      onWrite(await run());
      error.hidden = true;
      return true;
    } catch (reason) {
      showError(reason);
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
      const at = findPlace(order, id);
      list.insertBefore(row.element, rows.get(order[at] ?? '')?.element ?? null);
      order.splice(at, 0, id);
    }
    row.update(entry);
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
    order.splice(findPlace(order, id), 1);
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

  // A change that comes while the listing is read is newer than the listing.
  const changed = new Set<string>();
  let isListed = false;
  records.subscribe((changes) => {
    for (const { id, entry } of changes) {
      apply(id, entry);
      if (!isListed) changed.add(id);
    }
  });
  void records.entries().then((listed) => {
    isListed = true;
    for (const [id, entry] of listed) if (!changed.has(id)) apply(id, entry);
    changed.clear();
  }, showError);
}

/** Where the id stands in the sorted list of ids, or would stand. */
function findPlace(order: readonly string[], id: string): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((order[middle] as string) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** In the order of their making, as ids are listed in the order of their bytes. */
function newId(): string {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return `${Date.now().toString(36).padStart(9, '0')}-${[...random].map((word) => word.toString(36).padStart(7, '0')).join('')}`;
}
