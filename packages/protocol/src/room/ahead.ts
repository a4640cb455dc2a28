import { bytesToHex } from '../bytes.js';
import { type Delta, trieKeyOf } from '../delta.js';
import type { ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { PushedDelta, PushedStub } from '../sync/effect.js';
import type { Refusal } from '../sync/event.js';
import { isFound, type RoomRef } from './accept.js';
import { dotKey, readDots } from './set-rows.js';
import { readSeqs } from './vector.js';

type Header = Pick<Delta, 'keyId' | 'replica' | 'seq' | 'hlc' | 'id'>;

/**
 * [SY7, SY8, HLC4] Of what was pushed with a stamp too far ahead of the relay's clock: what was taken before passes, as it stands, however the clock
 * was set since; the rest is refused. Relay, before signatures are looked at.
 */
export function* siftAhead<Pushed extends PushedDelta | PushedStub>(
  tx: Transaction,
  room: RoomRef,
  pushed: readonly Pushed[],
  clockAheadMsMax: number,
): Steps<{ readonly passed: readonly Pushed[]; readonly refusals: readonly Refusal[] }> {
  const ahead = pushed.filter(isAhead);
  if (ahead.length === 0) return { passed: pushed, refusals: [] };
  const taken = yield* readTaken(tx, room, ahead.map(headerOf));
  const refused = ahead.filter((_, i) => !taken[i]);
  return {
    passed: pushed.filter((item) => !refused.includes(item)),
    refusals: refused.map((item) => refusalOf(item, clockAheadMsMax)),
  };
}

/** Whether there is anything to sift: most often nothing, and then no read either. */
export function isAhead({ aheadMs }: PushedDelta | PushedStub): boolean {
  return aheadMs !== undefined;
}

/**
 * For each, whether the set holds it, or held it before it was lost, covered or swept. A number that was used says nothing of which delta had it: a
 * new one would enter the set.
 */
export function* readTaken(tx: Transaction, room: RoomRef, headers: readonly Header[]): Steps<readonly boolean[]> {
  const dots = yield* readDots(tx, headers);
  const seqs: ReadonlyMap<ReplicaId, number> = yield* readSeqs(
    tx,
    headers.map(({ replica }) => replica),
  );
  const taken: boolean[] = [];
  for (const header of headers) {
    const named = dots.get(bytesToHex(dotKey(header)));
    const trieKey = trieKeyOf(header);
    const isTaken =
      named === undefined
        ? (seqs.get(header.replica) ?? 0) >= header.seq && (yield* isFound(tx, room, trieKey))
        : named.has(bytesToHex(trieKey));
    taken.push(isTaken);
  }
  return taken;
}

function refusalOf(item: PushedDelta | PushedStub, clockAheadMsMax: number): Refusal {
  const { replica, seq } = headerOf(item);
  return { replica, seq, code: 'CLOCK_AHEAD', facts: { aheadMs: item.aheadMs as number, clockAheadMsMax } };
}

const headerOf = (item: PushedDelta | PushedStub): Header => ('stub' in item ? item.stub : item.delta);
