import { bodyOfDelta, updateOfPayload } from '../body.js';
import { bytesToU64, concatBytes, keyAfter, u64ToBytes } from '../bytes.js';
import {
  type Context,
  contextOfHeld,
  EMPTY_CONTEXT,
  includesContext,
  joinContexts,
  makeContext,
  type Stamped,
} from '../context.js';
import { type Delta, FLAG, hasFlag, parseTrieKey, trieKeyOf } from '../delta.js';
import { HLC_ZERO, type Hlc, hlcFromMs, hlcToMs } from '../hlc.js';
import { idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { Refusal } from '../sync/event.js';
import { acceptDeltas, removeDelta, type RoomRef } from './accept.js';
import { readUnder } from './floor-rows.js';
import { bytesToOutboxPlace, type OutboxPlace, readDot } from './outbox.js';
import { readGrounds } from './ground.js';
import { type JournalRow, readJournalOf, readSiblings, writeRow } from './journal.js';
import { readClock, readNumber, writeNumber } from './meta.js';
import { isAnyHidden } from './past.js';
import { noteStanding, noteStandingBelow } from './previous.js';
import { splitTrieKeys } from './set-rows.js';
import { isAnswer } from './readable.js';
import { readRetainedOf, settleRetained } from './retained.js';
import { forgetTrashed, listTrash, readTrashed, type Trashed } from './trash.js';
import { outboxEntryOf } from './outbox-entry.js';
import { mayBeHeld, readForgotten } from './unsent.js';

const DOTS_PAGE = 4_096;
const TRASH_PAGE = 256;

/**
 * Takes an own delta that a relay refused out of the set and puts its content back into the journal, from where it is sealed again
 * under another dot [JS5]. Nothing that was written is lost. The rows it became, or undefined where it was not in the outbox any
 * more. A record that has newer rows gets none: they saw it. `swept`: it has left the set already, under a floor [FL5].
 */
export function* withdrawDelta(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  seq: number,
  swept?: Delta,
): Steps<readonly JournalRow[] | undefined> {
  const waiting = yield* tx.get('outbox', u64ToBytes(seq));
  if (waiting === undefined) return undefined;
  tx.delete('outbox', u64ToBytes(seq));
  const place = bytesToOutboxPlace(waiting);
  // Where a copy of this profile has used the dot as well, its delta is not ours to take back.
  const isOurs = (delta: Delta) => delta.keyId === place.keyId && delta.hlc === place.hlc;
  const deltas = swept === undefined ? (yield* readDot(tx, room, { replica, seq })).filter(isOurs) : [swept];
  writeNumber(tx, 'given', Math.max(yield* readNumber(tx, 'given'), place.hlc));
  const previous = yield* forgetPrevious(tx, place);
  yield* lowerRows(tx, replica, place.keyId, previous);
  const rows: JournalRow[] = [];
  for (const delta of deltas) {
    // Its author has replaced it: written again, an old value would stand beside what replaced it [FH3].
    const isReplaced = yield* isAnyHidden(tx, [delta]);
    if (swept === undefined) yield* removeDelta(tx, room, delta);
    if (isReplaced) continue;
    if (hasFlag(delta, FLAG.floor)) {
      yield* settleRetained(tx, room, replica);
      yield* settleTrash(tx, room);
      continue;
    }
    if (isAnswer(delta)) {
      yield* settleRetained(tx, room, replica);
      continue;
    }
    if (hasFlag(delta, FLAG.checkpoint) && (yield* restoreCovered(tx, room, replica, delta))) continue;
    noteStanding(tx, delta, previous);
    const row = yield* journalAgain(tx, delta, lowerOwn(delta.context, replica, previous));
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

/**
 * Own deltas that no relay has acknowledged and that a floor has swept go back to the journal rather than into the trash: what was
 * written here and seen by nobody is no part of what the floor's writer collected [FL5].
 */
export function* withdrawSwept(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  swept: readonly Delta[],
): Steps<{ readonly rows: readonly JournalRow[]; readonly seqs: readonly number[] }> {
  const own = swept.filter((delta) => delta.replica === replica);
  const waiting = yield* tx.getMany(
    'outbox',
    own.map(({ seq }) => u64ToBytes(seq)),
  );
  const rows: JournalRow[] = [];
  const seqs: number[] = [];
  for (const [i, delta] of own.entries()) {
    const row = waiting[i];
    if (row === undefined || bytesToOutboxPlace(row).hlc !== delta.hlc) continue;
    yield* forgetTrashed(tx, trieKeyOf(delta));
    rows.push(...((yield* withdrawDelta(tx, room, replica, delta.seq, delta)) ?? []));
    seqs.push(delta.seq);
  }
  return { rows, seqs };
}

/** What no held floor has under it any more is in the set again: a floor was refused or evicted. */
export function* settleTrash(tx: Transaction, room: RoomRef): Steps<void> {
  let after: Trashed | undefined;
  for (;;) {
    const page: readonly Trashed[] = yield* listTrash(tx, TRASH_PAGE, after);
    const deltas: Delta[] = [];
    for (const { trieKey } of page) {
      const trashed = yield* readTrashed(tx, room, trieKey);
      if (trashed !== undefined) deltas.push(trashed.delta);
    }
    const under = yield* readUnder(tx, room, deltas);
    const back = deltas.filter((_, i) => under[i] === undefined);
    for (const delta of back) yield* forgetTrashed(tx, trieKeyOf(delta));
    yield* acceptDeltas(tx, room, back, { nowMs: 0, from: 'others', retain: () => false });
    after = page.at(-1);
    if (page.length < TRASH_PAGE) return;
  }
}

export interface Withdrawal {
  /** As of {@link withdrawDelta}. */
  readonly rows: readonly JournalRow[] | undefined;
  /** The refused delta and what went with it. */
  readonly seqs: readonly number[];
}

/**
 * Does what a relay's refusal asks for. One because of a stamp tells what that relay's clock shows: what the refused delta had
 * superseded before it was sent, with a stamp that no relay can have taken either, is nobody's and would hold up what follows [JS5].
 */
export function* withdrawRefused(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  { seq, code, facts }: Pick<Refusal, 'seq' | 'code' | 'facts'>,
  nowMs: number,
): Steps<Withdrawal> {
  if (code === 'CLOCK_AHEAD') yield* awaitAgain(tx, room, replica, seq, nowMs);
  const waiting = yield* tx.get('outbox', u64ToBytes(seq));
  const rows = yield* withdrawDelta(tx, room, replica, seq);
  if (waiting === undefined || code !== 'CLOCK_AHEAD') return { rows, seqs: [seq] };
  const { aheadMs } = facts;
  const relayMs = typeof aheadMs === 'number' ? hlcToMs(bytesToOutboxPlace(waiting).hlc) - aheadMs : nowMs;
  const forgotten = yield* readForgotten(tx, room, replica, relayMs);
  for (const one of forgotten) yield* withdrawDelta(tx, room, replica, one);
  yield* resetClock(tx, nowMs);
  return { rows, seqs: [seq, ...forgotten] };
}

/**
 * An own delta that counts as acknowledged, is refused where it repairs the relay, and has a stamp that no relay whose clock is right can have
 * taken: its acknowledgement was false, and would leave it refused until its time has come.
 */
function* awaitAgain(tx: Transaction, room: RoomRef, replica: ReplicaId, seq: number, nowMs: number): Steps<void> {
  if ((yield* tx.get('outbox', u64ToBytes(seq))) !== undefined) return;
  const held = (yield* readDot(tx, room, { replica, seq })).find(({ hlc }) => !mayBeHeld(hlc, nowMs));
  if (held === undefined) return;
  tx.put('outbox', u64ToBytes(seq), outboxEntryOf(held));
}

/**
 * A checkpoint wrote nothing that it does not cover, and that was kept: it is in the set again [CP8]. False where some of it is not,
 * which is then to be sealed again from the checkpoint's own content.
 */
function* restoreCovered(tx: Transaction, room: RoomRef, replica: ReplicaId, checkpoint: Delta): Steps<boolean> {
  const id = idToBytes(checkpoint.id);
  if ((yield* tx.get('vouched', id)) !== undefined) {
    tx.delete('vouched', id);
    for (const kept of yield* readRetainedOf(tx, room, checkpoint.keyId))
      if (hasFlag(kept, FLAG.checkpoint)) tx.put('vouched', idToBytes(kept.id), new Uint8Array());
  }
  yield* settleRetained(tx, room, replica);
  const siblings = yield* readSiblings(tx, room, checkpoint.keyId);
  const held = contextOfHeld(siblings, yield* readGrounds(tx, room, siblings));
  return includesContext(held, checkpoint.context);
}

/**
 * Sets a clock that ran ahead back to the highest stamp that was really given or accepted: once the deltas with its stamps are
 * withdrawn, nothing that is left was made in that future [HLC4]. What the disk has lost was given or accepted too, and its dot is left.
 */
export function* resetClock(tx: Transaction, nowMs: number): Steps<void> {
  let highest: Hlc = HLC_ZERO;
  let from: Uint8Array = new Uint8Array();
  for (;;) {
    const rows = yield* tx.rows('dots', { from, limit: DOTS_PAGE });
    for (const [, trieKeys] of rows)
      for (const trieKey of splitTrieKeys(trieKeys)) highest = Math.max(highest, parseTrieKey(trieKey).hlc) as Hlc;
    const last = rows.at(-1);
    if (last === undefined || rows.length < DOTS_PAGE) break;
    from = keyAfter(last[0]);
  }
  const clock = yield* readClock(tx);
  writeNumber(tx, 'clock', Math.min(clock, Math.max(highest, hlcFromMs(nowMs))));
}

/** The row keeps the context of the write: what the writer had seen has not changed, but for what was withdrawn. */
function* journalAgain(tx: Transaction, delta: Delta, context: Context): Steps<JournalRow | undefined> {
  const { name, payload: whole } = bodyOfDelta(delta);
  const isCheckpoint = hasFlag(delta, FLAG.checkpoint);
  const payload = updateOfPayload(delta, whole);
  const newer = name.kind === 'record' ? yield* readJournalOf(tx, delta.keyId) : [];
  // They saw what it had seen as well, which their contexts need not say where the disk has lost it since.
  for (const row of newer) {
    const seen = joinContexts([row.context, context]);
    writeRow(tx, { ...row, context: seen });
  }
  if (newer.length > 0) return undefined;
  const number = (yield* readNumber(tx, 'row')) + 1;
  writeNumber(tx, 'row', number);
  const { keyId, nonces, writtenAt } = delta;
  // A checkpoint's content comes from everybody, and adds to what is there.
  const row: JournalRow = isCheckpoint
    ? { number, keyId, name, flags: FLAG.import, writtenAt, context: EMPTY_CONTEXT, nonces: [], payload }
    : {
        number,
        keyId,
        name,
        flags: delta.flags & (FLAG.import | FLAG.seed | FLAG.tombstone),
        writtenAt,
        context,
        nonces,
        payload,
      };
  writeRow(tx, row);
  return row;
}

/**
 * The stamp of the youngest own delta of the key that still stands, 0 for none. Where a younger one waits that may yet be withdrawn
 * too, a row `keyId 16 • u64 hlc → prev` leads past this one [JS5].
 */
function* forgetPrevious(tx: Transaction, { keyId, hlc, prev }: OutboxPlace): Steps<Hlc> {
  const key = idToBytes(keyId);
  const linkOf = (stamp: Hlc) => concatBytes(key, u64ToBytes(stamp));
  const row = yield* tx.get('previous', key);
  const youngest = (row === undefined ? 0 : bytesToU64(row)) as Hlc;
  if (youngest !== hlc) {
    tx.put('previous', linkOf(hlc), u64ToBytes(prev));
    return youngest;
  }
  let standing = prev;
  for (;;) {
    const link = yield* tx.get('previous', linkOf(standing));
    if (link === undefined) break;
    tx.delete('previous', linkOf(standing));
    standing = bytesToU64(link) as Hlc;
  }
  if (row === undefined || standing === 0) tx.delete('previous', key);
  else noteStandingBelow(tx, keyId, row, standing);
  return standing;
}

/** Rows that saw what is withdrawn saw its content, which is sealed before them; its stamp is nobody's any more. */
function* lowerRows(tx: Transaction, replica: ReplicaId, keyId: KeyId, standing: Hlc): Steps<void> {
  for (const row of yield* readJournalOf(tx, keyId)) {
    const context = lowerOwn(row.context, replica, standing);
    if (context !== row.context) writeRow(tx, { ...row, context });
  }
}

function lowerOwn(context: Context, replica: ReplicaId, standing: Hlc): Context {
  const own = context.stamps.get(replica) ?? 0;
  const isAbove = (dot: Stamped) => dot.replica === replica && dot.hlc > standing;
  if (own <= standing && !context.dots.some(isAbove)) return context;
  const stamps = new Map(context.stamps);
  if (own > standing) stamps.delete(replica);
  if (own > standing && standing > 0) stamps.set(replica, standing);
  return makeContext(
    stamps,
    context.dots.filter((dot) => !isAbove(dot)),
  );
}
