import { bytesToHex, compareBytes, equalBytes } from '../bytes.js';
import type { Hash } from '../hash.js';
import { defaultLimits, type Limits } from '../limits.js';
import type { Steps, Transaction } from '../store/plan.js';
import { cutHash, cutItem, type DiffEntry, type DiffEntryOf, type DiffMessage } from './diff-message.js';
import { holdingAt, leafUnder, type Holding } from './holding.js';
import { keysUnder, together } from './node-table.js';
import { childHash, childNibbles, countChildren, leafNode, LEAF_ITEMS_MAX } from './node.js';
import { childSlot, ROOT_SLOT, slotContains, slotNibble, slotRange, type Slot } from './slot.js';
import { readRoot } from './trie.js';

export { CUT_BYTES, cutHash, cutItem, type DiffEntry, type DiffMessage } from './diff-message.js';

export interface DiffAnswer {
  /** Empty when there is nothing left to say: the exchange is over. */
  readonly entries: readonly DiffEntry[];
  /** Trie keys of items that the other side lacks, each once. */
  readonly send: readonly Uint8Array[];
}

/** From this many items on, the root's children are told at once: 2 KB for a round trip less. */
const LOOK_AHEAD_COUNT_MIN = 4_000;
/** Entries that are answered side by side; the limits are looked at in between. */
const ENTRIES_PER_STEP = 256;
/** 64 bytes, two nibbles each [MK1]. */
const KEY_NIBBLES = 128;

interface Scope {
  readonly tx: Transaction;
  readonly hash: Hash;
  readonly salt: number;
  /** What the message tells by slot: a child that has an entry of its own is answered there. Honest peers name a slot once. */
  readonly told: ReadonlyMap<Slot, DiffEntry>;
  /** Keys that may still be read from subtrees that are more than a leaf. */
  keysLeft: number;
}

const NOTHING: DiffAnswer = { entries: [], send: [] };

/**
 * The entries of the first message of a pass: what stands under the root, and a level more when the set is large.
 * The caller adds its root and the salt: 0 on the first pass, a random u32 on each further one [MK7].
 */
export function* openDiff(tx: Transaction, hash: Hash, salt: number): Steps<DiffEntry[]> {
  const scope: Scope = { tx, hash, salt, told: new Map(), keysLeft: 0 };
  const top = yield* holdingAt(tx, ROOT_SLOT);
  const entries = [describe(scope, ROOT_SLOT, top)];
  if (top.kind !== 'inner' || top.count <= LOOK_AHEAD_COUNT_MIN) return entries;
  const slots = childNibbles(top.map).map((nibble) => childSlot(top.prefix, nibble));
  const children = yield* together(slots.map((slot) => holdingAt(tx, slot)));
  return [...entries, ...children.map((child, i) => describe(scope, slots[i] as Slot, child))];
}

/**
 * Compares a message with the own set [SY4]: what to say in return, and which items the other side certainly lacks.
 *
 * Stateless: a message tells all that its answer depends on. Everything in it is the word of a peer: entries that make no sense
 * are passed over, none makes this throw. Each answer goes deeper into the trie, so an exchange ends after at most 128
 * levels (4 to 9 messages in practice); run to its end with everything inserted that was sent, both sets are equal unless
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
  const { root } = yield* readRoot(tx);
  if (equalBytes(root, message.root)) return NOTHING;
  const max = limits.diffEntriesMax;
  const told = new Map<Slot, DiffEntry>();
  for (const entry of message.entries.slice(0, max))
    if (isSound(entry) && !told.has(entry.slot)) told.set(entry.slot, entry);
  const asked = [...told.values()];
  // A leaf's worth more than the limit, so that a list never hides that there is something to send.
  const scope: Scope = { tx, hash, salt: message.salt, told, keysLeft: max + LEAF_ITEMS_MAX };
  const entries: DiffEntry[] = [];
  const send = new Map<string, Uint8Array>();
  for (let at = 0; at < asked.length && entries.length < max && send.size < max; at += ENTRIES_PER_STEP) {
    const answers = yield* together(asked.slice(at, at + ENTRIES_PER_STEP).map((entry) => answerEntry(scope, entry)));
    for (const answer of answers) {
      entries.push(...answer.entries);
      for (const key of answer.send) send.set(bytesToHex(key), key);
    }
  }
  return { entries: entries.slice(0, max), send: [...send.values()].slice(0, max) };
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
    const theirs = childHash({ map, children: cuts }, nibble);
    const ours = ownChildHash(scope.hash, inside, prefix, nibble);
    if (theirs === undefined) {
      if (ours !== undefined) plans.push(sendUnder(scope, child));
    } else if (!scope.told.has(child)) {
      const isEqual = ours !== undefined && equalBytes(theirs, cutHash(scope.hash, ours, scope.salt));
      if (!isEqual) plans.push(describeUnder(scope, child));
    }
  }
  return join([outside, ...(yield* together(plans))]);
}

function* answerList(scope: Scope, { slot, cuts }: DiffEntryOf<'list'>): Steps<DiffAnswer> {
  const held = yield* holdingAt(scope.tx, slot);
  if (held.kind === 'none') return cuts.length === 0 ? NOTHING : { entries: [{ kind: 'want', slot }], send: [] };
  const keys = yield* readHolding(scope, slot, held);
  const missing = new Map(cuts.map((cut) => [bytesToHex(cut), cut]));
  const ours = keys.map((key) => bytesToHex(cutItem(scope.hash, key, scope.salt)));
  const send = keys.filter((_, i) => !missing.has(ours[i] as string));
  for (const cut of ours) missing.delete(cut);
  // With a part of the own items only, nobody can say which of theirs are missing.
  const isWhole = held.kind === 'leaf' || keys.length === held.count;
  const entries: DiffEntry[] = isWhole && missing.size > 0 ? [{ kind: 'need', slot, cuts: [...missing.values()] }] : [];
  return { entries, send };
}

function* answerNeed(scope: Scope, { slot, cuts }: DiffEntryOf<'need'>): Steps<DiffAnswer> {
  const needed = new Set(cuts.map(bytesToHex));
  const keys = yield* readHolding(scope, slot, yield* holdingAt(scope.tx, slot));
  return { entries: [], send: keys.filter((key) => needed.has(bytesToHex(cutItem(scope.hash, key, scope.salt)))) };
}

function* sendUnder(scope: Scope, slot: Slot): Steps<DiffAnswer> {
  return { entries: [], send: yield* readHolding(scope, slot, yield* holdingAt(scope.tx, slot)) };
}

function* describeUnder(scope: Scope, slot: Slot): Steps<DiffAnswer> {
  const held = yield* holdingAt(scope.tx, slot);
  return { entries: [held.kind === 'none' ? { kind: 'want', slot } : describe(scope, slot, held)], send: [] };
}

function describe({ hash, salt }: Scope, slot: Slot, held: Holding): DiffEntry {
  switch (held.kind) {
    case 'none':
      return { kind: 'list', slot, cuts: [] };
    case 'leaf':
      return { kind: 'list', slot, cuts: held.keys.map((key) => cutItem(hash, key, salt)) };
    case 'inner': {
      const cuts = held.children.map((child) => cutHash(hash, child, salt));
      return { kind: 'node', slot, prefix: held.prefix, map: held.map, cuts };
    }
  }
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
  return child.kind === 'leaf' ? leafNode(hash, child.keys).hash : undefined;
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
