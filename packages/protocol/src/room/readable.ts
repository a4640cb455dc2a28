import { bytesToHex } from '../bytes.js';
import { covers, EMPTY_CONTEXT } from '../context.js';
import { type Delta, FLAG, hasContext, hasFlag } from '../delta.js';
import { errorCodeToWire } from '../errors.js';
import { HLC_ZERO } from '../hlc.js';
import { idToBytes, type KeyId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import { readRetainedOf } from './retained.js';
import type { RoomRef } from './room-ref.js';

const SPOILED = errorCodeToWire('SIGNATURE_INVALID');

/** A key by what can be read of it [CX8]. */
export interface Readable {
  /** Siblings that can be used. */
  readonly usable: readonly Delta[];
  /** Siblings that are quarantined and cover something. */
  readonly wrong: readonly Delta[];
  /** What the wrong ones alone superseded, as far as its bytes are here. */
  readonly repaired: readonly Delta[];
}

/** `siblings`: all of the key. */
export function* readReadable(
  tx: Transaction,
  room: RoomRef,
  keyId: KeyId,
  siblings: readonly Delta[],
): Steps<Readable> {
  const faults = yield* readFaults(tx, siblings);
  const usable = siblings.filter((_, i) => faults[i] === undefined);
  const wrong = siblings.filter((delta, i) => faults[i] !== undefined && hasContext(delta));
  return { usable, wrong, repaired: yield* readRepaired(tx, room, keyId, wrong, usable) };
}

/** A record as it stands: its siblings and the rows not yet sealed. */
interface RecordState {
  readonly deltas: readonly Delta[];
}

/**
 * Records as they read, of siblings that were read: what cannot be used is absent, what that alone superseded is not [CX8], and answers say
 * nothing [CP9]. One read where nothing of them is quarantined.
 */
export function* readableRecords<State extends RecordState>(
  tx: Transaction,
  room: RoomRef,
  states: readonly State[],
): Steps<readonly State[]> {
  const quarantined = new Set((yield* tx.keys('quarantine', { from: new Uint8Array() })).map(bytesToHex));
  const readable: State[] = [];
  for (const state of states) {
    let { deltas } = state;
    const doubtful = deltas.find(({ id }) => quarantined.has(id));
    if (doubtful !== undefined) {
      const { usable, repaired } = yield* readReadable(tx, room, doubtful.keyId, deltas);
      deltas = [...usable, ...repaired];
    }
    readable.push(
      deltas.some(isAnswer) ? { ...state, deltas: deltas.filter((delta) => !isAnswer(delta)) } : { ...state, deltas },
    );
  }
  return readable;
}

/** [CP9] What answers for a record: nobody's write, so it has no time, and deletes nothing but what it answers. */
export const isAnswer = (delta: Pick<Delta, 'flags' | 'writtenAt'>): boolean =>
  hasFlag(delta, FLAG.tombstone) && delta.writtenAt === HLC_ZERO;

/** Nobody wrote the others: what they hold is elsewhere too. */
export const isWrite = (delta: Pick<Delta, 'flags' | 'writtenAt'>): boolean =>
  !hasFlag(delta, FLAG.checkpoint | FLAG.floor) && !isAnswer(delta);

/** The wire codes of why each is quarantined; undefined for those that are not. */
export function* readFaults(
  tx: Transaction,
  deltas: readonly Pick<Delta, 'id'>[],
): Steps<readonly (number | undefined)[]> {
  const rows = yield* tx.getMany(
    'quarantine',
    deltas.map(({ id }) => idToBytes(id)),
  );
  // Of what is held the signature was good: what was quarantined for a bad one is a copy that somebody spoiled.
  return rows.map((row) => (row?.[0] === SPOILED ? undefined : row?.[0]));
}

/** What was superseded by something that cannot be used, and by nothing that can. */
export function* readRepaired(
  tx: Transaction,
  room: RoomRef,
  keyId: KeyId,
  wrong: readonly Delta[],
  usable: readonly Delta[],
): Steps<readonly Delta[]> {
  if (wrong.length === 0) return [];
  const retained = yield* readRetainedOf(tx, room, keyId);
  const faults = yield* readFaults(tx, retained);
  const candidates = retained.filter(
    (delta, i) =>
      faults[i] === undefined &&
      wrong.some(({ context }) => covers(context, delta)) &&
      !usable.some(({ context }) => covers(context, delta)),
  );
  return uncovered(candidates);
}

/** Those of them that none of the others covers. */
export function uncovered(deltas: readonly Delta[]): readonly Delta[] {
  const contextual = deltas.filter(hasContext);
  return deltas.filter((delta) => !contextual.some(({ context }) => covers(context, delta)));
}

/** One that cannot be used is covered itself, and its word about others is not passed on [CP6]. */
export function alone({
  keyId,
  replica,
  hlc,
  prev,
}: Delta): Pick<Delta, 'keyId' | 'replica' | 'hlc' | 'prev' | 'context'> {
  return { keyId, replica, hlc, prev, context: EMPTY_CONTEXT };
}
