import {
  type AcceptOptions,
  acceptAndLog,
  cleanRoom,
  type CleanLimits,
  type CommittedDelta,
  isNews,
  type Outcome,
  type OverQuota,
  type Position,
  type PushedDelta,
  type Quota,
  readPosition,
  type RoomRef,
  siftByQuota,
  type Steps,
  type Transaction,
} from '@mangrove/protocol';

/** Each commit cleans away at least twice as much as it leaves to be cleaned, so that what has outlived its time cannot pile up. */
const SPARE_ROWS = 16;

export interface PlannedPush {
  readonly deltas: readonly Pick<PushedDelta, 'delta' | 'from'>[];
  /** The challenge of the connection that it came over, where it came over one of this relay. */
  readonly via: Uint8Array | undefined;
}

/** All that decides beside the room and what is pushed. */
export interface Circumstances {
  readonly nowMs: number;
  readonly quota: Quota;
  readonly limits: CleanLimits;
}

export interface Committed {
  /** For each push what became of its deltas, in their order. */
  readonly outcomes: readonly (readonly (Outcome | OverQuota)[])[];
  readonly fresh: readonly CommittedDelta[];
  /** How many of them were sent as a repair. */
  readonly repaired: number;
  /** How many deltas left the set, or came too late for it: so many are kept for a while, or in the log. */
  readonly superseded: number;
  readonly position: Position;
}

/** Takes pushes into a room, and cleans away what has outlived its time. */
export function* commitBatch(
  tx: Transaction,
  room: RoomRef,
  batch: readonly PlannedPush[],
  circumstances: Circumstances,
): Steps<Committed> {
  const { nowMs, limits } = circumstances;
  const committed = yield* takeBatch(tx, room, batch, circumstances);
  const rowsMax = 2 * (committed.superseded + committed.fresh.length) + SPARE_ROWS;
  yield* cleanRoom(tx, nowMs, limits, rowsMax);
  return committed;
}

/** Authors' own deltas and those of others are taken by different rules [CX7], in one transaction. */
function* takeBatch(
  tx: Transaction,
  room: RoomRef,
  batch: readonly PlannedPush[],
  { quota, nowMs }: Circumstances,
): Steps<Committed> {
  const outcomes = batch.map((push) => new Array<Outcome | OverQuota>(push.deltas.length));
  const fresh: CommittedDelta[] = [];
  let superseded = 0;
  let repaired = 0;
  let position: Position | undefined;
  for (const from of ['author', 'others'] as const) {
    const items = batch.flatMap((push, of) =>
      push.deltas.flatMap(({ delta, from: itsFrom }, at) =>
        itsFrom === from ? [{ delta, of, at, via: push.via }] : [],
      ),
    );
    const over = yield* siftByQuota(
      tx,
      room,
      items.map(({ delta }) => delta),
      quota,
    );
    for (const [i, { of, at }] of items.entries()) {
      const why = over[i];
      if (why !== undefined) (outcomes[of] as OverQuota[])[at] = why;
    }
    const fitting = items.filter((_, i) => over[i] === undefined);
    if (fitting.length === 0) continue;
    // Nobody here can tell whether what superseded a delta can be read, so its bytes stay for a while.
    const options: AcceptOptions = { nowMs, from, retain: () => true };
    const deltas = fitting.map(({ delta }) => delta);
    const accepted = yield* acceptAndLog(tx, room, deltas, options);
    position = accepted.position;
    superseded += accepted.removed.length + accepted.swept.length;
    for (const [i, { delta, of, at, via }] of fitting.entries()) {
      const outcome = accepted.outcomes[i] as Outcome;
      (outcomes[of] as Outcome[])[at] = outcome;
      if (outcome === 'superseded') superseded++;
      if (!isNews(outcome)) continue;
      fresh.push({ bytes: delta.bytes, via });
      if (from === 'others') repaired++;
    }
  }
  return { outcomes, fresh, superseded, repaired, position: position ?? (yield* readPosition(tx)) };
}
