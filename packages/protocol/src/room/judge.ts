import { bodyOfDelta, bytesToCheckpointPayload, updateOfDelta } from '../body.js';
import { compareBytes, equalBytes } from '../bytes.js';
import { covers } from '../context.js';
import { type Delta, FLAG, hasContext, hasFlag, trieKeyOf } from '../delta.js';
import { type DeltaId, idToBytes, type KeyId, type ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { RoomRef } from './accept.js';
import type { Arrival } from './arrival.js';
import { coverageOf } from './checkpoint.js';
import { readSiblings } from './journal.js';
import { readReadable, uncovered } from './readable.js';

/**
 * Why a checkpoint's update is not what it claims to be, or undefined. It must hold all that the `covered` updates say; where
 * `isExact`, they are all that it was made of, and it must say nothing else.
 */
export type CompareUpdates = (
  update: Uint8Array,
  covered: readonly Uint8Array[],
  isExact: boolean,
) => string | undefined;

export interface Judgement {
  /** With `CHECKPOINT_WRONG` where that was found. */
  readonly arrivals: readonly Arrival[];
  /** Checkpoints whose content is, in part at least, the word of their signer [CP7]. */
  readonly vouched: ReadonlySet<DeltaId>;
  /** Checkpoints that say exactly what is held: nothing new for who reads. */
  readonly proven: ReadonlySet<DeltaId>;
}

/**
 * Compares each checkpoint that came with what is held, or came with it, of what it covers, before any of that is dropped [CP6]. An edit covers
 * nothing, so one with a context is wrong without a look [JS2].
 */
export function* judgeCheckpoints(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  arrivals: readonly Arrival[],
  compare: CompareUpdates,
): Steps<Judgement> {
  const vouched = new Set<DeltaId>();
  const proven = new Set<DeltaId>();
  if (!arrivals.some(isClaim)) return { arrivals, vouched, proven };
  if (room.history === 'full') return { arrivals: arrivals.map(refuseClaim), vouched, proven };
  const judged: Arrival[] = [];
  const heldByKey = new Map<KeyId, Held>();
  for (const arrival of arrivals) {
    const { keyId } = arrival.delta;
    if (!isClaim(arrival)) {
      judged.push(arrival);
      continue;
    }
    if (!hasFlag(arrival.delta, FLAG.checkpoint)) {
      judged.push({ ...arrival, fault: 'CHECKPOINT_WRONG', reason: 'it covers what others wrote and is none' });
      continue;
    }
    const held = heldByKey.get(keyId) ?? (yield* readHeld(tx, room, keyId));
    heldByKey.set(keyId, held);
    const beside = judged.filter(({ delta, fault }) => delta.keyId === keyId && fault === undefined);
    const verdict = judge(
      room,
      replica,
      arrival.delta,
      held,
      beside.map(({ delta }) => delta),
      vouched,
      compare,
    );
    if (verdict.reason !== undefined) {
      judged.push({ ...arrival, fault: 'CHECKPOINT_WRONG', reason: verdict.reason });
      continue;
    }
    judged.push(arrival);
    if (verdict.isVouched) vouched.add(arrival.delta.id);
    if (verdict.isProven) proven.add(arrival.delta.id);
  }
  return { arrivals: judged, vouched, proven };
}

/** [FH3] Where everything is kept nothing has to be taken on a word for all that it would merge. */
function refuseClaim(arrival: Arrival): Arrival {
  if (!isClaim(arrival)) return arrival;
  return {
    ...arrival,
    fault: 'CHECKPOINT_WRONG',
    reason: 'nothing takes the place of others in a room of full history',
  };
}

interface Held {
  /** Siblings that can be used, and what a wrong one among them superseded. */
  readonly deltas: readonly Delta[];
  readonly vouched: ReadonlySet<DeltaId>;
}

interface Verdict {
  readonly reason?: string | undefined;
  readonly isVouched: boolean;
  readonly isProven: boolean;
}

/**
 * A relay takes any delta of a document that covers others for superseding them: so it is to say what they said. An edit that covers is none,
 * whatever it would cost to apply.
 */
const isClaim = ({ delta, name, fault }: Arrival): boolean => {
  if (name?.kind !== 'document') return false;
  if (hasFlag(delta, FLAG.checkpoint)) return fault === undefined;
  return hasContext(delta) && (fault === undefined || fault === 'UPDATE_TOO_COSTLY');
};

function* readHeld(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<Held> {
  const { usable, repaired } = yield* readReadable(tx, room, keyId, yield* readSiblings(tx, room, keyId));
  const deltas = [...usable, ...repaired];
  const rows = yield* tx.getMany(
    'vouched',
    deltas.map(({ id }) => idToBytes(id)),
  );
  return { deltas, vouched: new Set(deltas.filter((_, i) => rows[i] !== undefined).map(({ id }) => id)) };
}

function judge(
  room: RoomRef,
  replica: ReplicaId,
  delta: Delta,
  held: Held,
  beside: readonly Delta[],
  vouchedBeside: ReadonlySet<DeltaId>,
  compare: CompareUpdates,
): Verdict {
  const isVouched = ({ id }: Delta) => held.vouched.has(id) || vouchedBeside.has(id);
  const there = new Map([...held.deltas, ...beside].map((other) => [other.id, other]));
  // Nothing happens to what is there already, or comes too late.
  if (there.has(delta.id) || [...there.values()].some(({ context }) => covers(context, delta)))
    return { isVouched: isVouched(delta), isProven: true };
  const covered = uncovered([...there.values()])
    .filter((other) => covers(delta.context, other))
    .toSorted((a, b) => compareBytes(trieKeyOf(a), trieKeyOf(b)));
  const { coverage, update } = bytesToCheckpointPayload(bodyOfDelta(delta).payload);
  const isExact = equalBytes(coverageOf(room, delta.keyId, covered), coverage);
  // Own word against another's, who has answered it: they have seen what we have not [CP7].
  const evidence = covered.filter((other) => !(other.replica === replica && isVouched(other)));
  const reason =
    evidence.length === 0
      ? undefined
      : compare(update, evidence.map(updateOfDelta), isExact && evidence.length === covered.length);
  return { reason, isVouched: !isExact || covered.some(isVouched), isProven: isExact };
}
