import { packBody } from '../body.js';
import { bytesToU64, prefixEnd, u64ToBytes } from '../bytes.js';
import type { Deflate } from '../compression.js';
import { type Context, EMPTY_CONTEXT, highestEntry, joinContexts, narrowContext } from '../context.js';
import { bytesToDelta, type Delta, FLAG, hasFlag, makeUnsignedDelta, type UnsignedDelta } from '../delta.js';
import { assertNotAhead, type Hlc, hlcToMs, tickHlc } from '../hlc.js';
import { idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import type { Steps, Transaction } from '../store/plan.js';
import { type Acceptance, acceptDeltas, isAnyCovered, type RoomRef } from './accept.js';
import { type JournalRow, journalKey, readJournalPage } from './journal.js';
import { dotKey, splitTrieKeys } from './set-rows.js';
import { readClock, readNumber, writeNumber } from './meta.js';
import { isAnyHidden } from './past.js';
import { bytesToOutboxEntry, type OutboxEntry, outboxEntryToBytes } from './outbox-entry.js';
import { contextOfDrafted, contextOfPrevious, readPrevious, writePrevious } from './previous.js';
import { settleRetained } from './retained.js';
import { countWrites, groupRows, joinRows, type MergeUpdates, oldestOf } from './runs.js';
import { mayBeHeld } from './unsent.js';

export interface SealOptions {
  readonly replica: ReplicaId;
  readonly nowMs: number;
  readonly mergeUpdates: MergeUpdates;
  readonly deflate: Deflate;
}

/** A delta that waits for its signature, and the rows it was made of. */
export interface SealDraft {
  readonly unsigned: UnsignedDelta;
  readonly rows: readonly JournalRow[];
}

export interface SealedDraft {
  readonly delta: Delta;
  readonly rows: readonly JournalRow[];
}

/**
 * Turns journal rows into unsigned deltas [JS2]. Signing is asynchronous, so this reads, the caller signs, and {@link commitSeal}
 * writes, provided that nothing has moved in between [JS3].
 *
 * Throws `CLOCK_AHEAD` when the clock of the replica lies too far ahead of the wall clock [HLC4], or has to [JS5].
 */
export function* draftSeal(tx: Transaction, room: RoomRef, options: SealOptions): Steps<readonly SealDraft[]> {
  const { rows } = yield* readJournalPage(tx, new Uint8Array());
  if (rows.length === 0) return [];
  let seq = yield* readNumber(tx, 'seq');
  let hlc = yield* readClock(tx);
  const given = (yield* readNumber(tx, 'given')) as Hlc;
  const lastByKey = new Map<KeyId, UnsignedDelta>();
  const drafts: SealDraft[] = [];
  for (const group of groupRows(rows)) {
    const [{ keyId, name }] = group as [JournalRow, ...JournalRow[]];
    seq++;
    const last = lastByKey.get(keyId);
    const prev = last?.hlc ?? (yield* readPrevious(tx, keyId));
    // A clock that was set back knows less than what the delta names, and a delta lies above all that it names [DL7].
    const named = Math.max(prev, ...group.map((row) => highestEntry(row.context)));
    hlc = nextStamp(hlc, named, given, options.nowMs);
    const isRecord = name.kind === 'record';
    const drafted = last === undefined ? undefined : contextOfDrafted(last);
    const own = isRecord
      ? (drafted ?? (yield* contextOfPrevious(tx, room, options.replica, group, prev)))
      : EMPTY_CONTEXT;
    const unsigned = draftDelta(room, options, group, { seq, hlc, prev }, own);
    lastByKey.set(keyId, unsigned);
    drafts.push({ unsigned, rows: group });
  }
  return drafts;
}

/**
 * Makes the signed drafts part of the set, in one transaction with the journal they come from. Undefined, and nothing written,
 * when another tab has taken over, the next `seq` has moved, a row is gone, a delta that a draft comes after was withdrawn, or
 * a context that came meanwhile reaches over a draft, which nobody has seen: then draft again, above its stamp.
 */
export function* commitSeal(
  tx: Transaction,
  room: RoomRef,
  sealed: readonly SealedDraft[],
  epoch: number,
  nowMs: number,
): Steps<Acceptance | undefined> {
  const [first] = sealed;
  const last = sealed.at(-1);
  if (first === undefined || last === undefined) return undefined;
  if ((yield* readNumber(tx, 'epoch')) !== epoch) return undefined;
  if ((yield* readNumber(tx, 'seq')) !== first.delta.seq - 1) return undefined;
  const rowKeys = sealed.flatMap((draft) => draft.rows.map(journalKey));
  const rows = yield* tx.getMany('journal', rowKeys);
  if (rows.includes(undefined)) return undefined;
  const deltas = sealed.map((draft) => draft.delta);
  if ((yield* isAnyCovered(tx, deltas)) || (yield* isAnyHidden(tx, deltas))) return undefined;
  if (!(yield* areInPlace(tx, deltas))) return undefined;

  const clock = yield* readClock(tx);
  const acceptance = yield* acceptDeltas(tx, room, deltas, { nowMs, from: 'others', retain: () => false });
  for (const key of rowKeys) tx.delete('journal', key);
  for (const { delta, rows } of sealed) {
    writePrevious(tx, delta, (rows[0] as JournalRow).name.kind);
    const oldestAtMs = Math.min(...rows.map((row) => hlcToMs(oldestOf(row))));
    const writes = rows.reduce((sum, row) => sum + countWrites(row), 0);
    tx.put('outbox', u64ToBytes(delta.seq), outboxEntryToBytes({ writes, oldestAtMs }, delta));
  }
  writeNumber(tx, 'seq', last.delta.seq);
  writeNumber(tx, 'clock', Math.max(clock, last.delta.hlc));
  return acceptance;
}

/**
 * Own deltas that no relay has acknowledged, ascending by `seq`, those from `fromSeq` on. Superseded ones are passed over and
 * do not count: fewer than `limit` means that the end is reached.
 */
export function* readOutbox(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  fromSeq: number,
  limit: number,
): Steps<readonly Delta[]> {
  const deltas: Delta[] = [];
  for (let from = fromSeq; deltas.length < limit; ) {
    const keys = yield* tx.keys('outbox', { from: u64ToBytes(from), limit: limit - deltas.length });
    const last = keys.at(-1);
    if (last === undefined) break;
    from = bytesToU64(last) + 1;
    const dots = yield* tx.getMany(
      'dots',
      keys.map((key) => dotKey({ replica, seq: bytesToU64(key) })),
    );
    const trieKeys = dots.flatMap((dot) => (dot === undefined ? [] : splitTrieKeys(dot)));
    const rows = yield* tx.getMany('deltas', trieKeys);
    for (const row of rows) if (row !== undefined) deltas.push(bytesToDelta(room.hash, room.roomId, row));
  }
  return deltas;
}

/** The entries themselves, for telling how much waits. */
export function* readOutboxEntries(tx: Transaction): Steps<readonly OutboxEntry[]> {
  const rows = yield* tx.rows('outbox', { from: new Uint8Array() });
  return rows.map(([key, value]) => bytesToOutboxEntry(bytesToU64(key), value));
}

/** A relay has these on its disk [SY6]. What a checkpoint among them has merged need not be kept any longer [CP8]. */
export function* acknowledge(tx: Transaction, room: RoomRef, replica: ReplicaId, seqs: readonly number[]): Steps<void> {
  const keys = seqs.map(u64ToBytes);
  const rows = yield* tx.getMany('outbox', keys);
  for (const key of keys) tx.delete('outbox', key);
  if (rows.some((row, i) => row !== undefined && bytesToOutboxEntry(seqs[i] as number, row).writes === 0))
    yield* settleRetained(tx, room, replica);
}

/** The range of all dots of a replica. */
export function dotsOf(replica: ReplicaId): { from: Uint8Array; to: Uint8Array | undefined } {
  return { from: idToBytes(replica), to: prefixEnd(idToBytes(replica)) };
}

/** The stamp of the next delta: above the clock, all that the delta names, and what somebody may hold of ours [HLC4, JS5]. */
export function nextStamp(clock: Hlc, named: number, given: Hlc, nowMs: number): Hlc {
  const above = mayBeHeld(given, nowMs) ? given : 0;
  const hlc = tickHlc(Math.max(clock, named, above) as Hlc, nowMs);
  assertNotAhead(hlc, nowMs, defaultLimits.clockAheadMsMax);
  return hlc;
}

/** Whether what the first draft of each key comes after is still the youngest that stands [JS5]. */
export function* areInPlace(tx: Transaction, deltas: readonly Delta[]): Steps<boolean> {
  const firsts = deltas.filter((delta, i) => deltas[i - 1]?.keyId !== delta.keyId);
  const rows = yield* tx.getMany(
    'previous',
    firsts.map((delta) => idToBytes(delta.keyId)),
  );
  return firsts.every(({ prev }, i) => prev === bytesToU64(rows[i] ?? u64ToBytes(0)));
}

function draftDelta(
  room: RoomRef,
  options: SealOptions,
  group: readonly JournalRow[],
  stamp: { seq: number; hlc: Hlc; prev: Hlc },
  own: Context,
): UnsignedDelta {
  const row = joinRows(group, options.mergeUpdates);
  const payload = hasFlag(row, FLAG.tombstone) ? new Uint8Array() : row.payload;
  const body = packBody({ name: row.name, payload }, options.deflate);
  const header = {
    ...stamp,
    replica: options.replica,
    keyId: row.keyId,
    // Never above the delta's own stamp, which a row written in another tab's time might be.
    writtenAt: Math.min(row.writtenAt, stamp.hlc) as Hlc,
    context: row.name.kind === 'record' ? sealedContext(group, own, options.replica) : EMPTY_CONTEXT,
    flags: row.flags | body.flags,
    nonces: [...new Set(row.nonces)].sort((a, b) => a - b),
  };
  return makeUnsignedDelta(room.hash, room.roomId, header, body.bytes);
}

/** What rows saw that are sealed together, and of that what a delta can carry: the own delta before it, and what the last of them saw, come first [FL13]. */
function sealedContext(group: readonly JournalRow[], own: Context, replica: ReplicaId): Context {
  const joined = joinContexts([...group.map(({ context }) => context), own]);
  const stamp = own.stamps.get(replica);
  const before = {
    stamps: new Map(stamp === undefined ? [] : [[replica, stamp]]),
    dots: own.dots.filter((dot) => dot.replica === replica),
  };
  const first = joinContexts([(group.at(-1) as JournalRow).context, before]);
  return narrowContext(joined, defaultLimits.replicasPerKeyMax, first);
}
