import { bytesToU64, concatBytes, equalBytes, keyAfter, utf8ToBytes } from '../bytes.js';
import { parseTrieKey, TRIE_KEY_BYTES } from '../delta.js';
import { isMangroveError, MangroveError } from '../errors.js';
import { bytesToReplicaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId } from '../ids.js';
import { readRoot, rebuildTrie } from '../merkle/trie.js';
import { dropStrayNodes, verifyTriePart } from '../merkle/verify.js';
import type { Steps, Transaction } from '../store/plan.js';
import { isFound, isGone, type RoomRef } from './accept.js';
import { TABLES } from '../store/table.js';
import { putAside } from './aside.js';
import { noteLostContexts, noteLostDeltas } from './doubt.js';
import { forgetFloor } from './floor-rows.js';
import { restoreLogEnd } from './log.js';
import { settleContradictions } from './contradiction.js';
import type { LostDelta } from './lost.js';
import { readUnsentAmong } from './outbox.js';
import {
  readHeld,
  readNamedIn,
  restoreDots,
  restoreListed,
  restoreContexts,
  restoreNames,
  restoreTombstones,
  trimContexts,
} from './scrub-rows.js';
import { restorePast, scrubMergedRows, scrubPastRows } from './scrub-past.js';
import { dropUnreadable, PLAIN_TABLES } from './scrub-plain.js';
import { ENTRY_BYTES, isEntry } from './vector-entry.js';
import { restartVector, settleVector } from './vector.js';
import { countMended } from './stamp.js';

/**
 * What is looked at, in this order: first whether all tables say the same however they are read; then what others are derived from comes before
 * them. `nodes` come behind all that they name.
 */
const PHASES = [
  'agreement',
  ...PLAIN_TABLES,
  'names',
  'deltas',
  'contexts',
  'dots',
  'nodes',
  'strays',
  'past',
  'merged',
] as const;
export type ScrubPhase = (typeof PHASES)[number];

/** Where a scrub goes on. */
export interface ScrubPlace {
  readonly phase: ScrubPhase;
  readonly from: Uint8Array;
}

/** What a scrub came upon. */
export interface ScrubFindings {
  /** Rows that were looked at. */
  readonly rows: number;
  /** Items that the stored index named and that are not there: what the Merkle diff is going to fetch. */
  readonly holes: number;
  /** Rows that could not be read, or were not what their key says, and were dropped. */
  readonly unreadable: number;
  /** Derived rows that said something else than what they are derived from, and were written anew or dropped. */
  readonly mended: number;
  /** Rows that one way of reading gave and another did not, and that were written anew [AE8]. */
  readonly contradicting: number;
}

export const NOTHING_FOUND: ScrubFindings = { rows: 0, holes: 0, unreadable: 0, mended: 0, contradicting: 0 };
export const FIRST_PLACE: ScrubPlace = { phase: PHASES[0], from: new Uint8Array() };
export const ALL_PHASES: ReadonlySet<ScrubPhase> = new Set(PHASES);
/** What is quick, and cures whatever kept a plan from running, but for a row that is no delta and an index that is spoiled. */
export const WITHOUT_BODIES: ReadonlySet<ScrubPhase> = new Set(
  PHASES.filter((phase) => phase !== 'deltas' && phase !== 'agreement'),
);

export interface ScrubBounds {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/** About a tenth of a second in a browser. */
export const SCRUB_BOUNDS: ScrubBounds = { rowsMax: 2_048, bytesMax: 2 * 1024 * 1024 };
const PAGE_ROWS = 256;
/** Above every trie key. */
const BEYOND_ALL = new Uint8Array(TRIE_KEY_BYTES + 1).fill(255);
const GLANCE_KEYS = 64;
/** In `meta`: `u8 phase • from`. */
const PLACE = utf8ToBytes('scrub-place');

export interface ScrubStep {
  readonly findings: ScrubFindings;
  /** Undefined when the store was looked at to its end. */
  readonly next: ScrubPlace | undefined;
}

/** Where something that is mended may make a record read otherwise, though the root stays. */
const READ: ReadonlySet<ScrubPhase> = new Set(['agreement', 'names', 'deltas', 'journal', 'past', 'merged']);

/**
 * [AE1] [AE2] Looks at the next rows of a store and makes what is derived say what the deltas say: a root that was read from nodes alone is the
 * word of a disk. What is missing stays missing; but the root tells so from then on, and the Merkle diff finds where.
 *
 * Bounded: a page beyond `rowsMax` rows and `bytesMax` bytes at most, but for an index that is wrong somewhere, which is built anew as a
 * whole: about 0.2 s for 100,000 deltas. Repeated from the place it returns until there is none.
 */
export function* scrubStep(
  tx: Transaction,
  room: RoomRef,
  place: ScrubPlace = FIRST_PLACE,
  phases: ReadonlySet<ScrubPhase> = ALL_PHASES,
  { rowsMax, bytesMax }: ScrubBounds = SCRUB_BOUNDS,
): Steps<ScrubStep> {
  let findings = NOTHING_FOUND;
  let next: ScrubPlace | undefined = place;
  let isReadAnew = false;
  let bytes = 0;
  while (next !== undefined && findings.rows < rowsMax && bytes < bytesMax) {
    const page: Page = yield* scrubPage(tx, room, next, rowsMax);
    findings = addFindings(findings, page);
    isReadAnew ||= READ.has(next.phase) && hasFound(addFindings(NOTHING_FOUND, page));
    bytes += page.bytes ?? 0;
    next = placeWithin(placeAfter(next.phase, page.last), phases);
  }
  if (isReadAnew) yield* countMended(tx);
  return { findings, next };
}

export function addFindings(a: ScrubFindings, b: Partial<ScrubFindings>): ScrubFindings {
  return {
    rows: a.rows + (b.rows ?? 0),
    holes: a.holes + (b.holes ?? 0),
    unreadable: a.unreadable + (b.unreadable ?? 0),
    mended: a.mended + (b.mended ?? 0),
    contradicting: a.contradicting + (b.contradicting ?? 0),
  };
}

/** Whether anything was wrong. */
export function hasFound({ holes, unreadable, mended, contradicting }: ScrubFindings): boolean {
  return holes + unreadable + mended + contradicting > 0;
}

/** The first place at or after this one whose phase is one of `phases`. */
export function placeWithin(place: ScrubPlace | undefined, phases: ReadonlySet<ScrubPhase>): ScrubPlace | undefined {
  let at = place;
  while (at !== undefined && !phases.has(at.phase)) at = placeAfter(at.phase, undefined);
  return at;
}

/**
 * A look that costs some thirty short reads, before anything relies on the root: at the node it is read from and those at the end of the
 * set. Throws `INTERNAL` where they are not what they say.
 */
export function* assertRootSound(tx: Transaction, room: RoomRef): Steps<void> {
  const { isSound } = yield* verifyTriePart(tx, room.hash, BEYOND_ALL, GLANCE_KEYS);
  if (!isSound) throw new MangroveError('INTERNAL', { reason: 'the Merkle root on disk is not that of the deltas' });
}

/** Where the last session stopped; undefined where it had come to the end, or what it left cannot be read. */
export function* readScrubPlace(tx: Transaction): Steps<ScrubPlace | undefined> {
  const row = yield* tx.get('meta', PLACE);
  const phase = row && PHASES[row[0] ?? PHASES.length];
  return phase && row && { phase, from: row.slice(1) };
}

/** Writes nothing where nothing is new, so that a scrub of a small store costs reads alone. */
export function* writeScrubPlace(tx: Transaction, place: ScrubPlace | undefined): Steps<void> {
  if (place !== undefined) tx.put('meta', PLACE, concatBytes(Uint8Array.of(PHASES.indexOf(place.phase)), place.from));
  else if ((yield* tx.get('meta', PLACE)) !== undefined) tx.delete('meta', PLACE);
}

interface Page extends Partial<ScrubFindings> {
  readonly bytes?: number;
  /** The last key that was looked at; undefined at the end of the phase. */
  readonly last: Uint8Array | undefined;
}

function placeAfter(phase: ScrubPhase, last: Uint8Array | undefined): ScrubPlace | undefined {
  if (last !== undefined) return { phase, from: keyAfter(last) };
  const following = PHASES[PHASES.indexOf(phase) + 1];
  return following && { phase: following, from: new Uint8Array() };
}

function scrubPage(tx: Transaction, room: RoomRef, { phase, from }: ScrubPlace, rowsMax: number): Steps<Page> {
  switch (phase) {
    case 'agreement':
      return scrubAgreement(tx, from);
    case 'names':
      return scrubNames(tx, room, from);
    case 'deltas':
      return scrubDeltas(tx, room, from);
    case 'dots':
      return scrubDots(tx, room, from);
    case 'contexts':
      return scrubContexts(tx, room, from);
    case 'nodes':
      return scrubNodes(tx, room, from, rowsMax);
    case 'strays':
      return scrubStrays(tx, from);
    case 'past':
      return scrubPast(tx, room, from);
    case 'merged':
      return scrubMerged(tx, from);
    default:
      return dropUnreadable(tx, room, phase, from, PAGE_ROWS);
  }
}

/** `from` begins with the number of the table. */
function* scrubAgreement(tx: Transaction, from: Uint8Array): Steps<Page> {
  const number = from[0] ?? 0;
  const table = TABLES[number];
  if (table === undefined) return { last: undefined };
  const { rows, contradicting, last } = yield* settleContradictions(tx, table, from.slice(1), PAGE_ROWS);
  const page = { rows, contradicting };
  if (last !== undefined) return { ...page, last: concatBytes(Uint8Array.of(number), last) };
  // What follows the last key that is given here is the beginning of the next table.
  return { ...page, last: number + 1 < TABLES.length ? Uint8Array.of(number + 1) : undefined };
}

/** What a name leads to is told by the name. */
function* scrubNames(tx: Transaction, room: RoomRef, from: Uint8Array): Steps<Page> {
  const rows = yield* tx.rows('names', { from, limit: PAGE_ROWS });
  const mended = restoreNames(tx, room, rows);
  return { rows: rows.length, mended, last: rows.length < PAGE_ROWS ? undefined : rows.at(-1)?.[0] };
}

/** Each delta is what its key says; its dot and its context are known. */
function* scrubDeltas(tx: Transaction, room: RoomRef, from: Uint8Array): Steps<Page> {
  const { held, unreadable, contradicting, rows, bytes, last } = yield* readHeld(tx, room, from, PAGE_ROWS);
  yield* putUnsentAside(tx, unreadable);
  for (const key of unreadable) for (const table of ['deltas', 'tombstones'] as const) tx.delete(table, key);
  const isFull = room.history === 'full';
  const mended =
    (yield* restoreDots(tx, held)) +
    (yield* isFull ? restorePast(tx, room, held) : restoreContexts(tx, held)) +
    (yield* restoreTombstones(tx, held)) +
    (yield* restoreListed(tx, room, held));
  return { rows, bytes, unreadable: unreadable.length, mended, contradicting, last };
}

/** What is left of an own delta that no relay has acknowledged is kept: nobody else may have it. Whether somebody has is told by a relay [AE7]. */
function* putUnsentAside(tx: Transaction, unreadable: readonly Uint8Array[]): Steps<void> {
  const unsent = yield* readUnsentAmong(tx, unreadable);
  const rows = yield* tx.getMany(
    'deltas',
    unsent.map(({ trieKey }) => trieKey),
  );
  for (const [i, { trieKey }] of unsent.entries()) {
    putAside(tx, 'deltas', trieKey, rows[i] as Uint8Array);
  }
}

/**
 * A dot of a delta that is not there stays as long as nothing covers it: it says that the number was used for that delta, so that it is
 * taken back from its author too [AE3]. A vector is begun anew only where it is gone, and claims nothing above what is lost.
 */
function* scrubDots(tx: Transaction, room: RoomRef, from: Uint8Array): Steps<Page> {
  const rows = yield* tx.rows('dots', { from, limit: PAGE_ROWS });
  const last = rows.length < PAGE_ROWS ? undefined : rows.at(-1)?.[0];
  let mended = 0;
  const { named, contradicting } = yield* readNamedIn(tx, rows);
  const lost: LostDelta[] = [];
  for (const [key, before, trieKeys] of named) {
    const kept: Uint8Array[] = [];
    for (const { trieKey, isHeld } of trieKeys) {
      if (isHeld || !(yield* isGone(tx, room, trieKey))) kept.push(trieKey);
      if (isHeld) continue;
      tx.delete('tombstones', trieKey);
      if (kept.at(-1) === trieKey) lost.push({ ...dotOfKey(key), trieKey });
      else yield* forgetFloor(tx, room, parseTrieKey(trieKey).id);
    }
    if (kept.length > 0 && equalBytes(concatBytes(...kept), before)) continue;
    mended++;
    if (kept.length === 0) tx.delete('dots', key);
    else tx.put('dots', key, concatBytes(...kept));
  }
  const replicas = [...new Set(rows.map(([key]): ReplicaId => dotOfKey(key).replica))];
  const vector = yield* tx.getMany('vector', replicas.map(idToBytes));
  const unknown = replicas.filter((_, i) => !isEntry(vector[i]));
  for (const replica of unknown) tx.delete('vector', idToBytes(replica));
  yield* restartVector(tx, unknown);
  // That there is such a replica is worth a row, though its first delta is missing.
  for (const [i, row] of (yield* tx.getMany('vector', unknown.map(idToBytes))).entries())
    if (row === undefined) tx.put('vector', idToBytes(unknown[i] as ReplicaId), new Uint8Array(ENTRY_BYTES));
  mended += unknown.length + (yield* noteLostDeltas(tx, room, lost));
  if (last === undefined) {
    mended += yield* restartUnreadable(tx);
    yield* settleVector(tx, (trieKey) => isFound(tx, room, trieKey));
  }
  return { rows: rows.length, mended, contradicting, last };
}

/** Also of replicas of which nothing is held any more. How many entries that were. */
function* restartUnreadable(tx: Transaction): Steps<number> {
  const unreadable = (yield* tx.rows('vector', { from: new Uint8Array() })).filter(([, row]) => !isEntry(row));
  for (const [key] of unreadable) tx.delete('vector', key);
  yield* restartVector(
    tx,
    unreadable.map(([key]) => bytesToReplicaId(key)),
  );
  return unreadable.length;
}

function dotOfKey(key: Uint8Array): { readonly replica: ReplicaId; readonly seq: number } {
  return { replica: bytesToReplicaId(key.slice(0, REPLICA_ID_BYTES)), seq: bytesToU64(key, REPLICA_ID_BYTES) };
}

function* scrubContexts(tx: Transaction, room: RoomRef, from: Uint8Array): Steps<Page> {
  const rows = yield* tx.rows('contexts', { from, limit: PAGE_ROWS });
  const { trimmed, lost } = yield* trimContexts(tx, rows);
  const mended = yield* noteLostContexts(tx, room, lost);
  return { rows: rows.length, mended: trimmed + mended, last: rows.length < PAGE_ROWS ? undefined : rows.at(-1)?.[0] };
}

function* scrubNodes(tx: Transaction, room: RoomRef, from: Uint8Array, keysMax: number): Steps<Page> {
  const restored = (yield* restoreLogEnd(tx)) ? 1 : 0;
  const { isSound, keys, next } = yield* verifyTriePart(tx, room.hash, from, keysMax);
  // `last` is the end of what was compared, and what follows begins right after it.
  if (isSound) return { rows: keys + 1, mended: restored, last: next };
  const before = yield* countStored(tx);
  const { count } = yield* rebuildTrie(tx, room.hash);
  return { rows: count, holes: Math.max(0, before - count), mended: 1 + restored, last: undefined };
}

function* scrubStrays(tx: Transaction, from: Uint8Array): Steps<Page> {
  const { dropped, last, rows } = yield* dropStrayNodes(tx, from, PAGE_ROWS);
  return { rows, mended: dropped, last };
}

function* scrubPast(tx: Transaction, room: RoomRef, from: Uint8Array): Steps<Page> {
  const rows = yield* tx.rows('past', { from, limit: PAGE_ROWS });
  const mended = yield* scrubPastRows(tx, room, rows);
  return { rows: rows.length, mended, last: rows.length < PAGE_ROWS ? undefined : rows.at(-1)?.[0] };
}

/** One at a time: each is a whole document. */
function* scrubMerged(tx: Transaction, from: Uint8Array): Steps<Page> {
  const rows = yield* tx.rows('merged', { from, limit: 1 });
  const mended = yield* scrubMergedRows(tx, rows);
  return { rows: rows.length, bytes: rows[0]?.[1].length ?? 0, mended, last: rows[0]?.[0] };
}

/** What the index says that there is, where it can be read at all. */
function* countStored(tx: Transaction): Steps<number> {
  try {
    return (yield* readRoot(tx)).count;
  } catch (error) {
    if (isMangroveError(error)) return 0;
    throw error;
  }
}
