import { bytesToHex } from '../bytes.js';
import { type Delta, trieKeyOf } from '../delta.js';
import type { ReplicaId } from '../ids.js';
import type { Steps, Transaction } from '../store/plan.js';
import type { PushedDelta, PushedStub } from '../sync/effect.js';
import type { Refusal } from '../sync/event.js';
import { dotKey, splitTrieKeys } from './set-rows.js';
import { readSeqs } from './vector.js';

type Header = Pick<Delta, 'keyId' | 'replica' | 'seq' | 'hlc' | 'id'>;

/**
 * [SY7, SY8, HLC4] Of what was pushed with a stamp too far ahead of the relay's clock: what was taken before passes, as it stands, however the clock
 * was set since; the rest is refused. Relay, before signatures are looked at.
 */
export function* siftAhead<Pushed extends PushedDelta | PushedStub>(
  tx: Transaction,
  pushed: readonly Pushed[],
  clockAheadMsMax: number,
): Steps<{ readonly passed: readonly Pushed[]; readonly refusals: readonly Refusal[] }> {
  const ahead = pushed.filter(isAhead);
  if (ahead.length === 0) return { passed: pushed, refusals: [] };
  const taken = yield* readTaken(tx, ahead.map(headerOf));
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

/** For each, whether the set holds it, or held it before it was covered, swept or lost. Another id on a dot that is held is new. */
function* readTaken(tx: Transaction, headers: readonly Header[]): Steps<readonly boolean[]> {
  const rows = yield* tx.getMany('dots', headers.map(dotKey));
  const seqs: ReadonlyMap<ReplicaId, number> = yield* readSeqs(
    tx,
    headers.map(({ replica }) => replica),
  );
  return headers.map((header, i) => {
    const row = rows[i];
    if (row === undefined) return (seqs.get(header.replica) ?? 0) >= header.seq;
    return splitTrieKeys(row)
      .map(bytesToHex)
      .includes(bytesToHex(trieKeyOf(header)));
  });
}

function refusalOf(item: PushedDelta | PushedStub, clockAheadMsMax: number): Refusal {
  const { replica, seq } = headerOf(item);
  return { replica, seq, code: 'CLOCK_AHEAD', facts: { aheadMs: item.aheadMs as number, clockAheadMsMax } };
}

const headerOf = (item: PushedDelta | PushedStub): Header => ('stub' in item ? item.stub : item.delta);
