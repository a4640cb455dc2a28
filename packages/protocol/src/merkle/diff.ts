import { bytesToHex, compareBytes, equalBytes } from '../bytes.js';
import { MangroveError } from '../errors.js';
import type { Hash } from '../hash.js';
import { defaultLimits, type Limits } from '../limits.js';
import { type Steps, type Transaction, together } from '../store/plan.js';
import { type Cut, makeCut } from './cut.js';
import { describe, describeDown, LOOK_AHEAD_BYTES, lookAhead } from './describe.js';
import { cutItems, type DiffEntry, type DiffEntryOf, type DiffMessage, sumCuts } from './diff-message.js';
import { holdingAt, leafUnder, type Holding } from './holding.js';
import { keysUnder } from './node-table.js';
import { childHash, childIndex, countChildren, hasChild, leafNode, LEAF_ITEMS_MAX } from './node.js';
import { childSlot, ROOT_SLOT, slotContains, slotNibble, slotRange, type Slot } from './slot.js';
import { readRoot } from './trie.js';

export type { DiffEntry, DiffMessage } from './diff-message.js';

export interface DiffAnswer {
  /** Empty when there is nothing left to say: the exchange is over. */
  readonly entries: readonly DiffEntry[];
  /** Trie keys of items that the other side lacks, each once. */
  readonly send: readonly Uint8Array[];
}

/** What entries that are answered side by side may weigh; the limits are looked at in between. */
const PART_WEIGHT = 256;
/** A node has up to sixteen children to look at, everything else is one read. */
const NODE_WEIGHT = 16;
/** 64 bytes, two nibbles each [MK1]. */
const KEY_NIBBLES = 128;

interface Scope {
  readonly tx: Transaction;
  readonly hash: Hash;
  readonly cut: Cut;
  /** What the message tells by slot: a child that has an entry of its own is answered there. Honest peers name a slot once. */
  readonly told: ReadonlyMap<Slot, DiffEntry>;
  /** Keys that may still be read from subtrees that are more than a leaf. */
  keysLeft: number;
}

const NOTHING: DiffAnswer = { entries: [], send: [] };

/**
 * The entries of the first message of a pass: what stands under the root, and as many levels more as a small message holds.
 * The caller adds its root and the salt, which it has drawn for this pass [MK7].
 */
export function* openDiff(tx: Transaction, hash: Hash, salt: Uint8Array): Steps<DiffEntry[]> {
  const cut = makeCut(hash, salt);
  const top = yield* holdingAt(tx, ROOT_SLOT);
  return yield* lookAhead(tx, cut, [describe(cut, ROOT_SLOT, top)], {
    bytesMax: LOOK_AHEAD_BYTES.opening,
    entriesMax: defaultLimits.diffEntriesMax,
  });
}

/** Where the answer to a message goes on, with what was found before. */
export interface DiffPlace {
  readonly at: number;
  readonly asked: readonly DiffEntry[];
  readonly told: ReadonlyMap<Slot, DiffEntry>;
  readonly entries: readonly DiffEntry[];
  readonly send: ReadonlyMap<string, Uint8Array>;
  readonly keysLeft: number;
}

/**
 * Compares a message with the own set [SY4]: what to say in return, and which items the other side certainly lacks.
 *
 * Stateless: a message tells all that its answer depends on. Everything in it is the word of a peer: entries that make no sense
 * are passed over, none makes this throw. Each answer goes deeper into the trie, from a sum to a list and from a list to items, so an
 * exchange ends (after 3 to 7 messages in practice); run to its end with everything inserted that was sent, both sets are equal unless
 * cuts collide, which a pass with another salt settles.
 *
 * Bounded: at most `diffEntriesMax` entries are looked at, as many are answered, as many items are sent, and about as
 * many keys are read beyond leaves. What is left over is left to the next pass, as the roots still differ; the first entries are
 * always followed to their end, so each pass moves at least one item.
 */
export function* answerDiff(
  tx: Transaction,
  hash: Hash,
  message: DiffMessage,
  limits: Pick<Limits, 'diffEntriesMax'> = defaultLimits,
): Steps<DiffAnswer> {
  let part = yield* answerDiffPart(tx, hash, message, undefined, limits);
  while ('next' in part) part = yield* answerDiffPart(tx, hash, message, part.next, limits);
  return part;
}

/**
 * A part of that answer, so that whoever serves many does not do all of it in one go. Parts may see different sets, as messages do: what one
 * part says of its entries is so when it says it.
 */
export function* answerDiffPart(
  tx: Transaction,
  hash: Hash,
  message: DiffMessage,
  place: DiffPlace | undefined,
  limits: Pick<Limits, 'diffEntriesMax'> = defaultLimits,
): Steps<DiffAnswer | { readonly next: DiffPlace }> {
  const max = limits.diffEntriesMax;
  if (place === undefined && equalBytes((yield* readRoot(tx)).root, message.root)) return NOTHING;
  const begun = place ?? beginAt(message, max);
  const { told, asked, at } = begun;
  const scope: Scope = { tx, hash, cut: makeCut(hash, message.salt), told, keysLeft: begun.keysLeft };
  const part = takePart(asked, at);
  const answers = yield* together(part.map((entry) => answerEntry(scope, entry)));
  const entries = [...begun.entries, ...answers.flatMap((answer) => answer.entries)];
  const send = new Map(begun.send);
  for (const answer of answers) for (const key of answer.send) send.set(bytesToHex(key), key);
  const next = at + part.length;
  if (next < asked.length && entries.length < max && send.size < max)
    return { next: { ...begun, at: next, entries, send, keysLeft: scope.keysLeft } };
  const further = yield* lookAhead(tx, scope.cut, entries.slice(0, max), {
    bytesMax: LOOK_AHEAD_BYTES.answer,
    entriesMax: max,
  });
  return { entries: further, send: [...send.values()].slice(0, max) };
}

function beginAt(message: DiffMessage, max: number): DiffPlace {
  const told = new Map<Slot, DiffEntry>();
  for (const entry of message.entries.slice(0, max))
    if (isSound(entry) && !told.has(entry.slot)) told.set(entry.slot, entry);
  // A leaf's worth more than the limit, so that a list never hides that there is something to send.
  return { at: 0, asked: [...told.values()], told, entries: [], send: new Map(), keysLeft: max + LEAF_ITEMS_MAX };
}

/** One at least, where there are any left. */
function takePart(asked: readonly DiffEntry[], at: number): readonly DiffEntry[] {
  let weight = 0;
  let end = at;
  while (end < asked.length && weight < PART_WEIGHT) {
    weight += asked[end]?.kind === 'node' ? NODE_WEIGHT : 1;
    end++;
  }
  return asked.slice(at, end);
}

/** The codec has checked sizes; here is what only the meaning tells. */
function isSound(entry: DiffEntry): boolean {
  if (entry.slot.length > KEY_NIBBLES) return false;
  if (entry.kind !== 'node') return true;
  const { slot, prefix, map, cuts } = entry;
  if (map < 1 || map > 0xffff || cuts.length !== countChildren(map)) return false;
  return prefix.startsWith(slot) && prefix.length < KEY_NIBBLES;
}

function answerEntry(scope: Scope, entry: DiffEntry): Steps<DiffAnswer> {
  switch (entry.kind) {
    case 'node':
      return answerNode(scope, entry);
    case 'list':
      return answerList(scope, entry);
    case 'want':
      return sendUnder(scope, entry.slot);
    case 'need':
      return answerNeed(scope, entry);
    case 'sum':
      return answerSum(scope, entry);
  }
}

function* answerNode(scope: Scope, { slot, prefix, map, cuts }: DiffEntryOf<'node'>): Steps<DiffAnswer> {
  const held = yield* holdingAt(scope.tx, slot);
  const outside: DiffAnswer = { entries: [], send: yield* readOutside(scope, slot, held, prefix) };
  const inside = yield* narrow(scope.tx, held, prefix);
  if (inside.kind === 'none') return join([outside, { entries: [{ kind: 'want', slot: prefix }], send: [] }]);
  const plans: Steps<DiffAnswer>[] = [];
  for (let nibble = 0; nibble < 16; nibble++) {
    const child = childSlot(prefix, nibble);
    const theirs = hasChild(map, nibble) ? cuts[childIndex(map, nibble)] : undefined;
    const ours = ownChildHash(scope.hash, inside, prefix, nibble);
    if (theirs === undefined) {
      if (ours !== undefined) plans.push(sendUnder(scope, child));
    } else if (!scope.told.has(child)) {
      if (ours === undefined || scope.cut(ours) !== theirs) plans.push(describeUnder(scope, child));
    }
  }
  return join([outside, ...(yield* together(plans))]);
}

function* answerList(scope: Scope, { slot, cuts }: DiffEntryOf<'list'>): Steps<DiffAnswer> {
  const held = yield* holdingAt(scope.tx, slot);
  if (held.kind === 'none') return cuts.length === 0 ? NOTHING : { entries: [{ kind: 'want', slot }], send: [] };
  const keys = yield* readHolding(scope, slot, held);
  const missing = new Set(cuts);
  const ours = cutItems(scope.cut, keys);
  const send = keys.filter((_, i) => !missing.has(ours[i] as number));
  for (const cut of ours) missing.delete(cut);
  // With a part of the own items only, nobody can say which of theirs are missing.
  const isWhole = held.kind === 'leaf' || keys.length === held.count;
  const entries: DiffEntry[] = isWhole && missing.size > 0 ? [{ kind: 'need', slot, cuts: [...missing] }] : [];
  return { entries, send };
}

/** One item more or less at one side is found from the sums alone; anything else takes a list. */
function* answerSum(scope: Scope, { slot, count, sum }: DiffEntryOf<'sum'>): Steps<DiffAnswer> {
  const held = yield* holdingAt(scope.tx, slot);
  if (held.kind === 'none') return count === 0 ? NOTHING : { entries: [{ kind: 'want', slot }], send: [] };
  if (held.kind === 'inner') return { entries: [describe(scope.cut, slot, held)], send: [] };
  const { keys } = held;
  const ours = cutItems(scope.cut, keys);
  const rest = (sumCuts(ours) ^ sum) >>> 0;
  if (keys.length === count && rest === 0) return NOTHING;
  if (keys.length === count - 1) return { entries: [{ kind: 'need', slot, cuts: [rest] }], send: [] };
  const extra = keys.length === count + 1 ? keys[ours.indexOf(rest)] : undefined;
  if (extra !== undefined) return { entries: [], send: [extra] };
  return { entries: [{ kind: 'list', slot, cuts: ours }], send: [] };
}

/** Who needs what is not there has been misled by a sum of several differences: the list tells. */
function* answerNeed(scope: Scope, { slot, cuts }: DiffEntryOf<'need'>): Steps<DiffAnswer> {
  const held = yield* holdingAt(scope.tx, slot);
  const keys = yield* readHolding(scope, slot, held);
  const ours = cutItems(scope.cut, keys);
  const isFound = cuts.every((cut) => ours.includes(cut));
  if (!isFound && held.kind === 'leaf') return { entries: [{ kind: 'list', slot, cuts: ours }], send: [] };
  const needed = new Set(cuts);
  return { entries: [], send: keys.filter((_, i) => needed.has(ours[i] as number)) };
}

function* sendUnder(scope: Scope, slot: Slot): Steps<DiffAnswer> {
  return { entries: [], send: yield* readHolding(scope, slot, yield* holdingAt(scope.tx, slot)) };
}

function* describeUnder(scope: Scope, slot: Slot): Steps<DiffAnswer> {
  const held = yield* holdingAt(scope.tx, slot);
  if (held.kind === 'none') return { entries: [{ kind: 'want', slot }], send: [] };
  return { entries: yield* describeDown(scope.tx, scope.cut, slot, held), send: [] };
}

/** What of a holding lies under a prefix that is longer than its slot. */
function* narrow(tx: Transaction, held: Holding, prefix: Slot): Steps<Holding> {
  if (held.kind === 'leaf') return leafUnder(held.keys, prefix);
  if (held.kind === 'none' || held.prefix.startsWith(prefix)) return held;
  return yield* holdingAt(tx, prefix);
}

/** The hash of the own trie under a child of a prefix, whatever shape the own trie has there. */
function ownChildHash(hash: Hash, inside: Holding, prefix: Slot, nibble: number): Uint8Array | undefined {
  if (inside.kind === 'inner') {
    if (inside.prefix === prefix) return childHash(inside, nibble);
    return slotNibble(inside.prefix, prefix.length) === nibble ? inside.hash : undefined;
  }
  const child = inside.kind === 'leaf' ? leafUnder(inside.keys, childSlot(prefix, nibble)) : inside;
  if (child.kind !== 'leaf') return undefined;
  // More than any leaf has: a disk has made the node above it, or its keys, another's.
  if (child.keys.length > LEAF_ITEMS_MAX)
    throw new MangroveError('INTERNAL', { reason: `${child.keys.length} deltas on disk in one leaf` });
  return leafNode(hash, child.keys).hash;
}

/** The keys of a holding: all of a leaf, and of more than that what the budget allows. */
function* readHolding(scope: Scope, slot: Slot, held: Holding): Steps<readonly Uint8Array[]> {
  if (held.kind !== 'inner') return held.kind === 'leaf' ? held.keys : [];
  const limit = Math.min(held.count, scope.keysLeft);
  scope.keysLeft -= limit;
  return limit === 0 ? [] : yield* keysUnder(scope.tx, slot, limit);
}

/** Own keys under a slot of which the peer says that all it has there lies under a longer prefix. */
function* readOutside(scope: Scope, slot: Slot, held: Holding, prefix: Slot): Steps<readonly Uint8Array[]> {
  if (held.kind === 'leaf') return held.keys.filter((key) => !slotContains(prefix, key));
  if (held.kind === 'none' || held.prefix.startsWith(prefix)) return [];
  const outer = slotRange(slot);
  const inner = slotRange(prefix);
  const ranges = [
    { from: outer.from, to: inner.from },
    ...(inner.to === undefined ? [] : [{ from: inner.to, to: outer.to }]),
  ];
  const reserved = Math.min(held.count, scope.keysLeft);
  scope.keysLeft -= reserved;
  const keys: Uint8Array[] = [];
  for (const { from, to } of ranges) {
    const limit = reserved - keys.length;
    const isEmpty = to !== undefined && compareBytes(from, to) >= 0;
    if (limit > 0 && !isEmpty) keys.push(...(yield* scope.tx.keys('deltas', { from, to, limit })));
  }
  scope.keysLeft += reserved - keys.length;
  return keys;
}

function join(answers: readonly DiffAnswer[]): DiffAnswer {
  return { entries: answers.flatMap((answer) => answer.entries), send: answers.flatMap((answer) => answer.send) };
}
