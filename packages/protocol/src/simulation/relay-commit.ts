import { isNews, type Outcome } from '../room/outcome.js';
import { acceptAndLog, type Position, readPosition } from '../room/log.js';
import type { RoomRef } from '../room/room-ref.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { PushedDelta } from '../sync/effect.js';
import type { CommittedDelta } from '../sync/event.js';

/** What came over one connection. */
interface Pushed {
  readonly link: { readonly state: { readonly challenge: Uint8Array } };
  readonly deltas: readonly PushedDelta[];
}

export interface Committed {
  readonly outcomes: readonly (readonly Outcome[])[];
  readonly fresh: readonly CommittedDelta[];
  readonly position: Position;
}

/** Authors' own deltas and those of others are taken by different rules [CX7], in one transaction. */
export function* commitBatch(
  tx: Transaction,
  room: RoomRef,
  batch: readonly Pushed[],
  nowMs: number,
): Steps<Committed> {
  const outcomes: Outcome[][] = batch.map(() => []);
  const fresh: CommittedDelta[] = [];
  for (const from of ['author', 'others'] as const) {
    const items = batch.flatMap(({ link, deltas }, of) =>
      deltas.flatMap((pushed, at) =>
        pushed.from === from ? [{ delta: pushed.delta, of, at, via: link.state.challenge }] : [],
      ),
    );
    if (items.length === 0) continue;
    const deltas = items.map(({ delta }) => delta);
    const accepted = yield* acceptAndLog(tx, room, deltas, { nowMs, from, retain: () => true });
    for (const [i, { delta, of, at, via }] of items.entries()) {
      const outcome = accepted.outcomes[i] as Outcome;
      (outcomes[of] as Outcome[])[at] = outcome;
      if (isNews(outcome)) fresh.push({ bytes: delta.bytes, via });
    }
  }
  return { outcomes, fresh, position: yield* readPosition(tx) };
}
