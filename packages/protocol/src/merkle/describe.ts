import { type Steps, type Transaction, together } from '../store/plan.js';
import type { Cut } from './cut.js';
import { cutItems, type DiffEntry, sumCuts } from './diff-message.js';
import { holdingAt, type Holding } from './holding.js';
import { childNibbles } from './node.js';
import { childSlot } from './slot.js';

/** From this many items on a leaf is told by its sum: shorter than a list, and enough where one item is the difference. */
const SUM_COUNT_MIN = 3;
/**
 * What a message may weigh with levels that nobody has asked for yet. Each spares half a round trip; where differences are many,
 * what must be said is more than this and nothing is added. The first message knows nothing of where, so it has the root's grandchildren.
 */
export const LOOK_AHEAD_BYTES = { opening: 1_400, answer: 600 } as const;
/** An inner node of at most this many items is told with all that is below it: a few sums more for half a round trip less. */
const SMALL_COUNT_MAX = 128;
/** Kind, a few nibbles of a slot that begins like the one before it, and what little an entry has at least. */
const ENTRY_BYTES = 8;

/** What a message says of what is held under a slot. */
export function describe(cut: Cut, slot: DiffEntry['slot'], held: Holding): DiffEntry {
  switch (held.kind) {
    case 'none':
      return { kind: 'list', slot, cuts: [] };
    case 'leaf': {
      const cuts = cutItems(cut, held.keys);
      if (cuts.length < SUM_COUNT_MIN) return { kind: 'list', slot, cuts };
      return { kind: 'sum', slot, count: cuts.length, sum: sumCuts(cuts) };
    }
    case 'inner':
      return { kind: 'node', slot, prefix: held.prefix, map: held.map, cuts: held.children.map(cut) };
  }
}

/** What a message says of what is held under a slot, and under a small node all the way down. */
export function* describeDown(
  tx: Transaction,
  cut: Cut,
  slot: DiffEntry['slot'],
  held: Holding,
): Steps<readonly DiffEntry[]> {
  const entry = describe(cut, slot, held);
  if (held.kind !== 'inner' || held.count > SMALL_COUNT_MAX) return [entry];
  const slots = childNibbles(held.map).map((nibble) => childSlot(held.prefix, nibble));
  const children = yield* together(slots.map((child) => holdingAt(tx, child)));
  const below = yield* together(children.map((child, i) => describeDown(tx, cut, slots[i] as typeof slot, child)));
  return [entry, ...below.flat()];
}

/**
 * The entries, and below the nodes among them as many whole levels as the message may weigh. In the order of their slots, a parent
 * before its children, which is how they are shortest on the wire.
 */
export function* lookAhead(
  tx: Transaction,
  cut: Cut,
  entries: readonly DiffEntry[],
  { bytesMax, entriesMax }: { readonly bytesMax: number; readonly entriesMax: number },
): Steps<DiffEntry[]> {
  const told = [...entries];
  let bytes = weigh(entries);
  const slotsTold = new Set(entries.map(({ slot }) => slot));
  let level = entries;
  for (;;) {
    const slots = level
      .flatMap((entry) =>
        entry.kind === 'node' ? childNibbles(entry.map).map((nibble) => childSlot(entry.prefix, nibble)) : [],
      )
      .filter((slot) => !slotsTold.has(slot));
    if (slots.length === 0 || told.length + slots.length > entriesMax) break;
    if (bytes + slots.length * ENTRY_BYTES > bytesMax) break;
    const held = yield* together(slots.map((slot) => holdingAt(tx, slot)));
    level = held.map((below, i) => describe(cut, slots[i] as DiffEntry['slot'], below));
    bytes += weigh(level);
    if (bytes > bytesMax) break;
    told.push(...level);
    for (const slot of slots) slotsTold.add(slot);
  }
  return told.sort((a, b) => (a.slot < b.slot ? -1 : a.slot > b.slot ? 1 : 0));
}

/** About what the entries take on the wire. */
function weigh(entries: readonly DiffEntry[]): number {
  return entries.reduce((bytes, entry) => {
    const prefix = entry.kind === 'node' ? (entry.prefix.length - entry.slot.length) >>> 1 : 0;
    return bytes + ENTRY_BYTES + prefix + ('cuts' in entry ? 4 * entry.cuts.length : 0);
  }, 0);
}
