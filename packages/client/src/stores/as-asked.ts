import { compareBytes, isWithin, type Range } from '@mangrove/protocol';
import { unavailable } from './places.js';

/**
 * [JS8] What a database gave for a range, if it is what was asked for. One whose index is damaged gives rows out of order, or of outside of
 * the range, for ever the same ones where whoever reads goes on after the last. Throws `STORAGE_UNAVAILABLE`: nothing that it says can be
 * relied on, and what is written to it may be gone.
 */
export function asAsked<Item>(
  items: readonly Item[],
  range: Range,
  keyOf: (item: Item) => Uint8Array,
): readonly Item[] {
  const ends = items.length === 0 ? [] : [items[0], items.at(-1)];
  // In order, so that all others lie between these two.
  if (!ends.every((item) => isWithin(keyOf(item as Item), range)))
    throw unavailable('broken', 'it gives rows that it was not asked for');
  for (let i = 1; i < items.length; i++) {
    const order = compareBytes(keyOf(items[i - 1] as Item), keyOf(items[i] as Item));
    if (range.reverse ? order <= 0 : order >= 0)
      throw unavailable('broken', 'its rows are not in the order of their keys');
  }
  return items;
}
