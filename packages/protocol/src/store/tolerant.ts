import { bytesToHex, compareBytes, keyAfter } from '../bytes.js';
import { attempt } from '../errors.js';
import { isWithin, type Read, type ReadResult, type Row } from './plan.js';
import type { Table } from './table.js';

/** Reads of a store that cannot be relied on, one at a time; what is answered with `FAILED` could not be read. */
export type TolerantSteps<Result> = Generator<Read, Result, ReadResult | typeof FAILED>;

export const FAILED = null;

/** What a range has under one key, as it was decoded; without an item nothing that could be read. */
export interface FoundRow<Item> {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
  readonly item?: Item;
}

export interface TolerantRows<Item> {
  /** In the order of their keys. */
  readonly found: readonly FoundRow<Item>[];
  /** Whether any way of reading came to an end: else there may be more, of which nothing is known. */
  readonly isWhole: boolean;
}

interface KeyRange {
  readonly from: Uint8Array;
  readonly to?: Uint8Array | undefined;
}

const PAGE_ROWS = 64;

/** Undefined also where it could not be read. */
export function* getTolerantly(table: Table, key: Uint8Array): TolerantSteps<Uint8Array | undefined> {
  const value = (yield { kind: 'get', table, key }) as Uint8Array | undefined | typeof FAILED;
  return value ?? undefined;
}

/**
 * All rows of a range that any way of reading gives: forwards until that fails, backwards, and what is known by its key alone one by one. `decode` throws a `MangroveError` for a row that another way may still give whole.
 */
export function* readTolerantly<Item>(
  table: Table,
  range: KeyRange,
  decode: (key: Uint8Array, value: Uint8Array) => Item,
): TolerantSteps<TolerantRows<Item>> {
  const found = new Map<string, FoundRow<Item>>();
  const take = (key: Uint8Array, value: Uint8Array | undefined): boolean => {
    const name = bytesToHex(key);
    const item = value && attempt(() => decode(key, value));
    if (value !== undefined && item !== undefined) found.set(name, { key, value, item });
    else if (!found.has(name)) found.set(name, { key });
    return item !== undefined;
  };
  const forth = yield* walk('rows', table, range, false, take);
  const back = yield* walk('keys', table, range, true, take);
  const isWhole = forth || (yield* walk('keys', table, range, false, take)) || back;
  for (const { key, item } of [...found.values()]) {
    if (item !== undefined || take(key, yield* getTolerantly(table, key))) continue;
    const only = { from: key, to: keyAfter(key) };
    for (const isReverse of [false, true]) yield* walk('rows', table, only, isReverse, take);
  }
  return { found: [...found.values()].sort((a, b) => compareBytes(a.key, b.key)), isWhole };
}

/** Whether it came to the end, as far as the store says. A page that fails is tried again row by row. */
function* walk(
  kind: 'rows' | 'keys',
  table: Table,
  { from, to }: KeyRange,
  isReverse: boolean,
  take: (key: Uint8Array, value: Uint8Array | undefined) => void,
): TolerantSteps<boolean> {
  let limit = PAGE_ROWS;
  let rest: KeyRange = { from, to };
  for (;;) {
    const page = (yield { kind, table, ...rest, limit, ...(isReverse && { reverse: true }) }) as
      | readonly Row[]
      | readonly Uint8Array[]
      | typeof FAILED;
    if (page === FAILED) {
      if (limit === 1) return false;
      limit = 1;
      continue;
    }
    for (const item of page) {
      const [key, value] = kind === 'rows' ? (item as Row) : [item as Uint8Array, undefined];
      // Whoever goes on after a row that was not asked for may get it for ever.
      if (!isWithin(key, rest)) return false;
      take(key, value);
      rest = isReverse ? { ...rest, to: key } : { ...rest, from: keyAfter(key) };
    }
    if (page.length < limit) return true;
  }
}
