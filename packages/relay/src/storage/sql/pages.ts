import { bytesToHex, compareBytes, equalBytes } from '@mangrove/protocol';
import type { SqlBounds } from './bounds.js';
import { bytesOfEntry, type Entry, isLarge, mergeEntries, packEntries, unpackEntries } from './packed-rows.js';
import { blobOf, type Statements } from './sql-database.js';

const BEGINNING = new Uint8Array();

/** Entries in the order of their keys, from `first` on and before `end`; in the last one without an end. */
export interface Page {
  readonly first: Uint8Array;
  end: Uint8Array | undefined;
  entries: readonly Entry[];
  bytes: number;
  isStored: boolean;
  usedAt: number;
}

/** All entries of a room but the recent ones, many in each row of the table `pages`. */
export class Pages {
  readonly #statements: Statements;
  readonly #bounds: SqlBounds;
  /** By hex of what they begin with. */
  readonly #cache = new Map<string, Page>();
  /** The same, in order. */
  #order: Page[] = [];
  #cachedBytes = 0;
  #uses = 0;

  constructor(statements: Statements, bounds: SqlBounds) {
    this.#statements = statements;
    this.#bounds = bounds;
  }

  static create(statements: Statements): void {
    statements.run('CREATE TABLE pages (first BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID');
  }

  /** The page that has this key, if anything has. */
  at(key: Uint8Array): Page {
    const page = this.#cachedAt(key) ?? this.#load(key);
    page.usedAt = ++this.#uses;
    return page;
  }

  /** The page before this one. */
  before({ first }: Page): Page | undefined {
    if (first.length === 0) return undefined;
    const [row] = this.#statements.run('SELECT first FROM pages WHERE first < ? ORDER BY first DESC LIMIT 1', first);
    // Before the first row there is room for what is not in a page yet.
    return this.at(row === undefined ? BEGINNING : blobOf(row.first));
  }

  /** Takes over what is newer; in a transaction. */
  merge(newer: readonly Entry[]): void {
    for (let from = 0; from < newer.length; ) {
      const page = this.at((newer[from] as Entry)[0]);
      let to = from + 1;
      while (to < newer.length && isBefore((newer[to] as Entry)[0], page.end)) to++;
      const merged = mergeEntries(page.entries, newer.slice(from, to)).filter(([, held]) => held !== undefined);
      if (!areEqual(merged, page.entries)) this.#replace(page, merged);
      from = to;
    }
  }

  /** What is in memory may be what a transaction wrote that was taken back. */
  forget(): void {
    this.#cache.clear();
    this.#order = [];
    this.#cachedBytes = 0;
  }

  #cachedAt(key: Uint8Array): Page | undefined {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes((this.#order[middle] as Page).first, key) <= 0) low = middle + 1;
      else high = middle;
    }
    const page = this.#order[low - 1];
    return page !== undefined && isBefore(key, page.end) ? page : undefined;
  }

  #load(key: Uint8Array): Page {
    const query = 'SELECT first, body FROM pages WHERE first <= ? ORDER BY first DESC LIMIT 1';
    const [row] = this.#statements.run(query, key);
    const first = row === undefined ? BEGINNING : blobOf(row.first);
    const [after] = this.#statements.run('SELECT first FROM pages WHERE first > ? ORDER BY first LIMIT 1', first);
    const body = row === undefined ? BEGINNING : blobOf(row.body);
    const page: Page = {
      first,
      end: after && blobOf(after.first),
      entries: unpackEntries(body),
      bytes: body.length,
      isStored: row !== undefined,
      usedAt: ++this.#uses,
    };
    this.#keep(page);
    return page;
  }

  #replace(page: Page, entries: readonly Entry[]): void {
    if (entries.length === 0) {
      this.#remove(page);
      return;
    }
    const [kept = [], ...others] = cut(entries, this.#bounds);
    const { end } = page;
    this.#write(page, kept);
    page.end = others[0]?.[0]?.[0].slice() ?? end;
    for (const [i, cutOff] of others.entries()) {
      const first = (cutOff[0] as Entry)[0].slice();
      const next = others[i + 1]?.[0]?.[0].slice() ?? end;
      const added = { first, end: next, entries: [], bytes: 0, isStored: false, usedAt: ++this.#uses };
      this.#write(added, cutOff);
      this.#keep(added);
    }
  }

  #write(page: Page, entries: readonly Entry[]): void {
    const body = packEntries(entries);
    this.#statements.run('INSERT OR REPLACE INTO pages VALUES (?, ?)', page.first, body);
    if (this.#cache.has(bytesToHex(page.first))) this.#cachedBytes += body.length - page.bytes;
    // Unpacked from what was written, so that no row of a plan keeps another's memory.
    page.entries = unpackEntries(body);
    page.bytes = body.length;
    page.isStored = true;
  }

  /** The page before it goes on to its end. */
  #remove(page: Page): void {
    if (page.isStored) this.#statements.run('DELETE FROM pages WHERE first = ?', page.first);
    this.#drop(page);
    for (const other of this.#order)
      if (other.end !== undefined && equalBytes(other.end, page.first)) other.end = page.end;
  }

  #keep(page: Page): void {
    this.#cache.set(bytesToHex(page.first), page);
    this.#cachedBytes += page.bytes;
    this.#sort();
    while (this.#cachedBytes > this.#bounds.cacheBytesMax && this.#order.length > 1) {
      const oldest = this.#order.reduce((a, b) => (b.usedAt < a.usedAt ? b : a));
      this.#drop(oldest);
    }
  }

  #drop(page: Page): void {
    if (!this.#cache.delete(bytesToHex(page.first))) return;
    this.#cachedBytes -= page.bytes;
    this.#sort();
  }

  #sort(): void {
    this.#order = [...this.#cache.values()].sort((a, b) => compareBytes(a.first, b.first));
  }
}

function isBefore(key: Uint8Array, end: Uint8Array | undefined): boolean {
  return end === undefined || compareBytes(key, end) < 0;
}

/** Into pages of which none is larger than it may be; one at least. */
function cut(entries: readonly Entry[], { pageBytesMax, pageBytesCut }: SqlBounds): readonly Entry[][] {
  const sizes = entries.map(bytesOfEntry);
  if (sizes.reduce((sum, size) => sum + size, 0) <= pageBytesMax) return [[...entries]];
  const pages: Entry[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  for (const [i, entry] of entries.entries()) {
    const size = sizes[i] as number;
    if (filled + size > pageBytesCut) {
      pages.push([]);
      filled = 0;
    }
    (pages.at(-1) as Entry[]).push(entry);
    filled += size;
  }
  return pages;
}

function areEqual(some: readonly Entry[], others: readonly Entry[]): boolean {
  return some.length === others.length && some.every((entry, i) => isEqual(entry, others[i] as Entry));
}

function isEqual([key, held]: Entry, [otherKey, other]: Entry): boolean {
  if (!equalBytes(key, otherKey)) return false;
  if (isLarge(held) && isLarge(other)) return held.firstPiece === other.firstPiece && held.bytes === other.bytes;
  if (isLarge(held) || isLarge(other)) return false;
  return held !== undefined && other !== undefined && equalBytes(held, other);
}
