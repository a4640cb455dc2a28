/** What the checklist writes. Others may have put anything into the collection, so it reads `unknown`. */

export interface Item {
  readonly title: string;
  readonly done: boolean;
}

const SHOWN_LENGTH_MAX = 2_000;

export function toItem(value: unknown): Item {
  if (typeof value !== 'object' || value === null) return { title: String(value), done: false };
  const { title, text, done } = value as Record<string, unknown>;
  const shown = typeof title === 'string' ? title : typeof text === 'string' ? text : toJson(value);
  return { title: shown, done: done === true };
}

/** The value with the change made, whatever else it carries. */
export function withItem(value: unknown, change: Partial<Item>): unknown {
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
  return { ...(isPlain ? value : toItem(value)), ...change };
}

export function describeVersion(value: unknown): string {
  if (value === undefined) return 'Deleted';
  const { title, done } = toItem(value);
  return done ? `${shorten(title)} (done)` : shorten(title);
}

/** A title may be as long as a record's value, and a line of the list may not. */
export function shorten(text: string): string {
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return String(value);
  }
}
