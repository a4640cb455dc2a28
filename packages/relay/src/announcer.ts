import {
  arrivedInParts,
  type Delta,
  defaultLimits,
  type Outcome,
  type OverQuota,
  type Position,
  PositionPace,
  type Refusal,
} from '@mangrove/protocol';
import type { Committed } from './commit-plan.js';
import type { CommitHost, Push } from './commit-host.js';
import type { Link } from './link.js';

/** Tells a room's connections what was committed, in the order of commits. */
export class Announcer {
  readonly #host: CommitHost;
  readonly #pace: PositionPace;

  constructor(host: CommitHost) {
    this.#host = host;
    const { clock, later, limits } = host.ports;
    const pace = {
      nowMs: () => clock.nowMs(),
      later,
      due: (position: Position) => host.announce({ kind: 'position-due', position }),
    };
    this.#pace = new PositionPace(pace, limits);
  }

  /** What is new goes to everybody before the acknowledgement, whose position says that it has come [SY6]. */
  announce(batch: readonly Push[], committed: Committed): void {
    const { outcomes, fresh, position } = committed;
    const { counters } = this.#host.ports;
    const tells = this.tell(batch, committed);
    counters.add('deltas_forked', outcomes.flat().filter((outcome) => outcome === 'forked').length);
    counters.add('deltas_known', outcomes.flat().filter((outcome) => outcome === 'known').length);
    for (const { link, seqs, refusals, bytes, isRepair } of answersOf(batch, outcomes)) {
      counters.add('deltas_refused', refusals.length);
      for (const { code } of refusals) counters.refused(code);
      counters.add('deltas_over_quota', refusals.filter(({ code }) => code === 'QUOTA_EXCEEDED').length);
      // What repairs the relay is a question about its root.
      const logged = fresh.filter(({ via }) => via === link.challenge).length;
      link.deliver({ kind: 'pushed', seqs, refusals, position, bytes, logged, tells: tells || isRepair });
    }
  }

  /** What is new, to everybody but who sent it; true where the position was told with it. */
  tell(batch: readonly Pick<Push, 'deltas'>[], { fresh, repaired, position }: Committed): boolean {
    const { counters } = this.#host.ports;
    counters.add('commits');
    counters.add('deltas_repaired', repaired);
    counters.add('deltas_committed', fresh.length);
    const arrived = arrivedInParts(batch.flatMap(({ deltas }) => deltas));
    if (arrived.length > 0) this.#host.arrived(arrived);
    const tells = this.#pace.tells(position);
    if (fresh.length > 0) this.#host.announce({ kind: 'committed', deltas: fresh, position, tells });
    return tells;
  }
}

interface PushAnswer {
  readonly link: Link;
  readonly seqs: number[];
  readonly refusals: Refusal[];
  bytes: number;
  isRepair: boolean;
}

/** One answer for each link, or several where its numbers are more than one message holds. */
function answersOf(batch: readonly Push[], outcomes: Committed['outcomes']): readonly PushAnswer[] {
  const answers: PushAnswer[] = [];
  const open = new Map<Link, PushAnswer>();
  for (const [i, push] of batch.entries()) {
    const { seqs, refusals } = sortOutcomes(push, outcomes[i] as readonly (Outcome | OverQuota)[]);
    const isRepair = push.deltas.some(({ from }) => from === 'others');
    const answer = open.get(push.link);
    if (answer !== undefined && answer.seqs.length + seqs.length <= defaultLimits.deltasPerMessageMax) {
      answer.seqs.push(...seqs);
      answer.refusals.push(...refusals);
      answer.bytes += push.bytes;
      answer.isRepair ||= isRepair;
    } else {
      const fresh = { link: push.link, seqs, refusals, bytes: push.bytes, isRepair };
      open.set(push.link, fresh);
      answers.push(fresh);
    }
  }
  return answers;
}

export function bytesOfPush({ deltas }: Pick<Push, 'deltas'>): number {
  return deltas.reduce((sum, { delta }) => sum + delta.bytes.length, 0);
}

/** [SY27] */
export function quotaRefusal(
  { replica, seq }: Pick<Delta, 'replica' | 'seq'>,
  { what, used, max }: OverQuota,
): Refusal {
  return { replica, seq, code: 'QUOTA_EXCEEDED', facts: { replica, seq, what, used, max } };
}

/** Only own deltas are acknowledged by number: a number says nothing of whose delta it is. */
function sortOutcomes(push: Push, outcomes: readonly (Outcome | OverQuota)[]): { seqs: number[]; refusals: Refusal[] } {
  const seqs: number[] = [];
  const refusals = [...push.refusals];
  for (const [i, { delta }] of push.deltas.entries()) {
    const { replica, seq } = delta;
    const isOwn = replica === push.replica;
    const outcome = outcomes[i];
    if (typeof outcome === 'object') refusals.push(quotaRefusal(delta, outcome));
    else if (outcomes[i] === 'reused') refusals.push({ replica, seq, code: 'DOT_REUSED', facts: { replica, seq } });
    // Its author seals the content again, so that a floor takes nothing from who has only just come back [FL5].
    else if (outcomes[i] === 'trashed' && isOwn)
      refusals.push({ replica, seq, code: 'UNDER_FLOOR', facts: { replica, seq } });
    else if (outcomes[i] === 'unseen') refusals.push({ replica, seq, code: 'COVERED_UNSEEN', facts: { replica, seq } });
    else if (isOwn) seqs.push(seq);
  }
  return { seqs, refusals };
}
