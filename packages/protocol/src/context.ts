import type { Hlc } from './hlc.js';
import type { ReplicaId } from './ids.js';

/** One delta of a key as a context sees it: its writer and its stamp. */
export interface Stamped {
  readonly replica: ReplicaId;
  readonly hlc: Hlc;
}

/**
 * What the writer of a delta had seen of its key: for each replica everything up to a stamp, and single dots above gaps [CX1].
 * Canonical: no dot at or below its replica's stamp, no duplicates. Made by {@link makeContext}.
 * Source: dotted version vectors, Preguiça et al. 2010.
 */
export interface Context {
  readonly stamps: ReadonlyMap<ReplicaId, Hlc>;
  /** Ascending by (replica, hlc). */
  readonly dots: readonly Stamped[];
}

export const EMPTY_CONTEXT: Context = { stamps: new Map(), dots: [] };

/** A held sibling, with what is needed to say what its writer had seen. */
export interface HeldDelta extends Stamped {
  /** The stamp of the same replica's previous delta of the key, 0 for the first. */
  readonly prev: Hlc;
  readonly context: Context;
}

/** What a held floor says to contexts [FL12]. */
export interface Ground {
  /** Up to where everything of each replica was seen. */
  readonly reach: ReadonlyMap<ReplicaId, Hlc>;
  /** All that the floor lets stand is held, or known to be superseded: nothing within its reach can be unseen. */
  readonly isWhole: boolean;
}

export function isEmptyContext(context: Context): boolean {
  return context.stamps.size === 0 && context.dots.length === 0;
}

/** [CX1] */
export function covers(context: Context, delta: Stamped): boolean {
  const stamp = context.stamps.get(delta.replica);
  if (stamp !== undefined && stamp >= delta.hlc) return true;
  return hasDot(context.dots, delta);
}

/** By halves: a hostile member can make every delta of a key name thousands of dots, and each is asked about every other. */
function hasDot(dots: readonly Stamped[], wanted: Stamped): boolean {
  let low = 0;
  let high = dots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareStamped(dots[middle] as Stamped, wanted);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** Whether everything that `inner` has seen lies within `outer`. A dot of `outer` stands for itself alone, never for a stamp. */
export function includesContext(outer: Context, inner: Context): boolean {
  for (const [replica, stamp] of inner.stamps) if ((outer.stamps.get(replica) ?? 0) < stamp) return false;
  return inner.dots.every((dot) => covers(outer, dot));
}

/** The canonical form of stamps and dots: dots under stamps vanish, the rest is sorted and distinct. */
export function makeContext(stamps: ReadonlyMap<ReplicaId, Hlc>, dots: Iterable<Stamped>): Context {
  const kept = [...dots].filter((dot) => (stamps.get(dot.replica) ?? 0) < dot.hlc).sort(compareStamped);
  const distinct = kept.filter((dot, i) => i === 0 || compareStamped(dot, kept[i - 1] as Stamped) !== 0);
  return { stamps, dots: distinct };
}

/** Everything that either has seen. */
export function joinContexts(contexts: Iterable<Context>): Context {
  const stamps = new Map<ReplicaId, Hlc>();
  const dots: Stamped[] = [];
  for (const context of contexts) {
    for (const [replica, stamp] of context.stamps) raise(stamps, replica, stamp);
    dots.push(...context.dots);
  }
  return makeContext(stamps, dots);
}

/**
 * The context of a write made by someone who holds exactly `held` of a key [CX4].
 *
 * The siblings' contexts are joined; a stamp is extended to a held delta only when nothing of that replica lies unseen
 * between them, which the delta's `prev` tells. What is held above a gap is named as a dot: reaching over the gap would
 * claim what was never seen. Of a sibling that stands on a ground only what its writer had seen beyond that ground is taken over [FL12].
 */
export function contextOfHeld(held: readonly HeldDelta[], grounds: readonly Ground[] = []): Context {
  const joined = joinContexts(held.map((delta) => beyondGrounds(delta, grounds)));
  const whole = grounds.filter(({ isWhole }) => isWhole);
  const seenOf = (replica: ReplicaId) => Math.max(0, ...whole.map(({ reach }) => reach.get(replica) ?? 0));
  const stamps = new Map(joined.stamps);
  const dots: Stamped[] = [...joined.dots];
  for (const { replica, hlc, prev } of [...held].sort(compareStamped)) {
    if (prev <= Math.max(stamps.get(replica) ?? 0, seenOf(replica))) raise(stamps, replica, hlc);
    else dots.push({ replica, hlc });
  }
  return makeContext(stamps, dots);
}

/** What the entries within a ground cover lies under its floor, or the floor's writer would not have had the delta among what stands. */
function beyondGrounds(delta: HeldDelta, grounds: readonly Ground[]): Context {
  const isWithin = ({ reach }: Ground, { replica, hlc }: Stamped) => hlc <= (reach.get(replica) ?? 0);
  const under = grounds.filter((ground) => isWithin(ground, delta));
  if (under.length === 0 || isEmptyContext(delta.context)) return delta.context;
  const isBeyond = (entry: Stamped) => !under.some((ground) => isWithin(ground, entry));
  const { stamps, dots } = delta.context;
  return makeContext(
    new Map([...stamps].filter(([replica, hlc]) => isBeyond({ replica, hlc }))),
    dots.filter(isBeyond),
  );
}

/**
 * A context that a delta can carry: at most `max` stamps and as many dots, those of `first` before others, and of each the highest. What is left
 * out is not covered [FL13]: of a forged context thousands of entries would otherwise have to be named by everybody who writes after it.
 */
export function narrowContext(context: Context, max: number, first: Context = EMPTY_CONTEXT): Context {
  if (context.stamps.size <= max && context.dots.length <= max) return context;
  const stamped = [...context.stamps].map(([replica, hlc]) => ({ replica, hlc }));
  const stamps = highest(stamped, max, ({ replica }) => first.stamps.has(replica));
  const dots = highest(context.dots, max, (dot) => hasDot(first.dots, dot));
  return makeContext(new Map(stamps.map(({ replica, hlc }) => [replica, hlc])), dots);
}

function highest(entries: readonly Stamped[], max: number, isFirst: (entry: Stamped) => boolean): readonly Stamped[] {
  if (entries.length <= max) return entries;
  const inOrder = entries.toSorted((a, b) => b.hlc - a.hlc || compareStamped(a, b));
  return [...inOrder.filter(isFirst), ...inOrder.filter((entry) => !isFirst(entry))].slice(0, max);
}

/** What of a context names these siblings themselves, and not what they had seen. */
export function namesOf(context: Context, siblings: readonly Stamped[]): Context {
  const stamps = new Map<ReplicaId, Hlc>();
  for (const { replica, hlc } of siblings) {
    const stamp = context.stamps.get(replica);
    if (stamp !== undefined && stamp >= hlc) stamps.set(replica, stamp);
  }
  return makeContext(
    stamps,
    siblings.filter((sibling) => hasDot(context.dots, sibling)),
  );
}

/** The highest entry of a context, which must lie below its delta's own stamp [DL7]. */
export function highestEntry(context: Context): number {
  let highest = 0;
  for (const stamp of context.stamps.values()) highest = Math.max(highest, stamp);
  for (const dot of context.dots) highest = Math.max(highest, dot.hlc);
  return highest;
}

/** Ascending by replica, then by stamp. */
export function compareStamped(a: Stamped, b: Stamped): number {
  if (a.replica !== b.replica) return a.replica < b.replica ? -1 : 1;
  return a.hlc - b.hlc;
}

function raise(stamps: Map<ReplicaId, Hlc>, replica: ReplicaId, stamp: Hlc): void {
  if (stamp > (stamps.get(replica) ?? 0)) stamps.set(replica, stamp);
}
