import * as Automerge from '@automerge/automerge';
import { versionOf } from '../../support/machine.mjs';
import { LEFT, RIGHT, BOTH, timed } from '../workload.mjs';

/** Building a document of a million changes takes it too much time and memory here. */
const ITEMS_MAX = 100_000;

const shared = {
  carries: 'changes, which are in its bytes',
  versions: () => ({ '@automerge/automerge': versionOf('@automerge/automerge') }),
  // A change names those it follows, so nobody holds one without them: there are no holes to scatter.
  canRun: ({ n, scenario }) => scenario === 'tail' && n <= ITEMS_MAX,
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
  const heads = [result.left, result.right].map((doc) => JSON.stringify(Automerge.getHeads(doc)));
  if (heads[0] !== heads[1]) throw new Error('Automerge did not come to one state');
  return { bytes: result.bytes, roundTrips: result.roundTrips, cpuMs };
}

const write = (doc, i) =>
  Automerge.change(doc, { time: 0 }, (draft) => {
    draft[`k${i % 64}`] = i;
  });

/** Messages in turns until neither has anything to say. */
function synced(left, right, states) {
  let [leftState, rightState] = states;
  let bytes = 0;
  let roundTrips = 0;
  for (;;) {
    let message;
    [leftState, message] = Automerge.generateSyncMessage(left, leftState);
    const asked = message;
    if (asked !== null) {
      bytes += asked.length;
      [right, rightState] = Automerge.receiveSyncMessage(right, rightState, asked);
    }
    [rightState, message] = Automerge.generateSyncMessage(right, rightState);
    if (message !== null) {
      bytes += message.length;
      [left, leftState] = Automerge.receiveSyncMessage(left, leftState, message);
    }
    if (asked === null && message === null) return { left, right, states: [leftState, rightState], bytes, roundTrips };
    roundTrips++;
  }
}
