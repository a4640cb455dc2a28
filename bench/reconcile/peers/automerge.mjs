import * as Automerge from '@automerge/automerge';
import { versionOf } from '../../support/machine.mjs';
import { LEFT, RIGHT, BOTH, timed } from '../workload.mjs';

const shared = {
  carries: 'changes, which are in its bytes',
  versions: () => ({ '@automerge/automerge': versionOf('@automerge/automerge') }),
  sources: ['peers/automerge.mjs'],
  cannot: ({ scenario }) =>
    scenario === 'tail'
      ? undefined
      : 'a change names those it follows, so nobody holds one without them: there are no holes to scatter',
};

export const automergeFirst = {
  ...shared,
  id: 'automerge-first',
  name: 'Automerge sync, first contact',
  about: 'one change an item in one map, all of the past by one actor; both sides begin with an empty sync state',
  run: (workload) => run(workload, false),
};

export const automergeResumed = {
  ...shared,
  id: 'automerge-resumed',
  name: 'Automerge sync, resumed',
  about: 'the same with both sync states kept from when both sides were equal',
  run: (workload) => run(workload, true),
};

function run({ items }, isResumed) {
  let base = Automerge.init({ actor: '00'.repeat(16) });
  const past = items.flatMap(({ side }, i) => (side === BOTH ? [i] : []));
  for (const i of past) base = write(base, i);
  let left = Automerge.clone(base, { actor: '01'.repeat(16) });
  let right = Automerge.clone(base, { actor: '02'.repeat(16) });
  let states = [Automerge.initSyncState(), Automerge.initSyncState()];
  if (isResumed) ({ left, right, states } = synced(left, right, states));
  for (const [i, { side }] of items.entries()) {
    if (side === LEFT) left = write(left, i);
    if (side === RIGHT) right = write(right, i);
  }
  const { result, cpuMs } = timed(() => synced(left, right, states));
  if (!areEqual(result.left, result.right)) throw new Error('Automerge did not come to one state');
  return { bytes: result.bytes, roundTrips: result.roundTrips, cpuMs };
}

const write = (doc, i) =>
  Automerge.change(doc, { time: 0 }, (draft) => {
    draft[`k${i % 64}`] = i;
  });

/** Messages in turns until neither has anything to say; round trips until the left side has said and heard what makes both equal. */
function synced(left, right, states) {
  let [leftState, rightState] = states;
  let bytes = 0;
  let turns = 0;
  let roundTrips;
  for (;;) {
    let message;
    [leftState, message] = Automerge.generateSyncMessage(left, leftState);
    const asked = message;
    if (asked !== null) {
      bytes += asked.length;
      [right, rightState] = Automerge.receiveSyncMessage(right, rightState, asked);
      if (areEqual(left, right)) roundTrips ??= turns;
    }
    [rightState, message] = Automerge.generateSyncMessage(right, rightState);
    if (message !== null) {
      bytes += message.length;
      [left, leftState] = Automerge.receiveSyncMessage(left, leftState, message);
    }
    if (asked === null && message === null) return { left, right, states: [leftState, rightState], bytes, roundTrips };
    turns++;
    if (areEqual(left, right)) roundTrips ??= turns;
  }
}

const areEqual = (left, right) =>
  JSON.stringify(Automerge.getHeads(left).sort()) === JSON.stringify(Automerge.getHeads(right).sort());
