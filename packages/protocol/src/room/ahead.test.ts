import { expect, test } from 'vitest';
import { floorOver } from '../../../../test/interop/floor-world.js';
import { makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import type { Delta } from '../delta.js';
import { hlcFromMs } from '../hlc.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import { removeDelta } from './accept.js';
import { siftAhead } from './ahead.js';
import { acceptAndLog } from './log.js';

const me = replicaOf(0);
const other = replicaOf(1);
const NOW = 1_000_000_000;
const MAX = 1_000;

const deltaOf = (seq: number, text = 'mine', replica = me) =>
  makeDelta({ replica, seq, name: record('a'), hlc: hlcFromMs(NOW + seq), text });
const covering = makeDelta({
  replica: other,
  seq: 1,
  name: record('a'),
  hlc: hlcFromMs(NOW + 50),
  context: { stamps: new Map([[me, hlcFromMs(NOW + 2)]]), dots: [] },
});

function createStore(held: readonly Delta[]) {
  const tables = new MemoryTables();
  const run = <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
  run((tx) => acceptAndLog(tx, room, held, { nowMs: NOW, retain: () => true, from: 'author' }));
  return run;
}

const pushed = (delta: Delta, aheadMs?: number) => ({
  ...{ delta, verify: false, from: 'author' as const },
  ...(aheadMs !== undefined && { aheadMs }),
});

test('[SY8] of what is too far ahead passes what is held, and what was held before it was covered or lost', () => {
  const [covered, covers, held, lost, fresh] = [deltaOf(1), deltaOf(2), deltaOf(3), deltaOf(4), deltaOf(5)];
  const run = createStore([covered, covers, held, lost, covering]);
  run(function* (tx) {
    for (const [key] of yield* tx.rows('dots', { from: new Uint8Array(), reverse: true, limit: 1 }))
      tx.delete('dots', key);
  });
  const near = deltaOf(6);
  const all = [covered, covers, held, lost, fresh].map((delta) => pushed(delta, MAX + 1));
  const { passed, refusals } = run((tx) => siftAhead(tx, room, [...all, pushed(near)], MAX));
  expect(passed.map(({ delta }) => delta.seq)).toEqual([1, 2, 3, 4, 6]);
  const facts = { aheadMs: MAX + 1, clockAheadMsMax: MAX };
  expect(refusals).toEqual([{ replica: me, seq: 5, code: 'CLOCK_AHEAD', facts }]);
});

test('[HLC4] another delta on a dot that is held, and one that was evicted, are new', () => {
  const evicted = deltaOf(2, 'mine', other);
  const run = createStore([deltaOf(1), evicted]);
  run((tx) => removeDelta(tx, room, evicted));
  const again = [deltaOf(1, 'another'), evicted].map((delta) => pushed(delta, MAX + 1));
  expect(run((tx) => siftAhead(tx, room, again, MAX)).refusals.map(({ code }) => code)).toEqual([
    'CLOCK_AHEAD',
    'CLOCK_AHEAD',
  ]);
});

test('[SY8, HLC4] a number that was used says nothing of another delta, once what had it is covered', () => {
  const run = createStore([deltaOf(1), deltaOf(2), covering]);
  const far = { replica: me, seq: 1, hlc: hlcFromMs(NOW + 100 * MAX) };
  const all = [makeDelta({ ...far, name: record('a') }), makeDelta({ ...far, name: record('b') })];
  const { passed, refusals } = run((tx) =>
    siftAhead(
      tx,
      room,
      [...all, deltaOf(1)].map((delta) => pushed(delta, MAX + 1)),
      MAX,
    ),
  );
  expect(passed.map(({ delta }) => delta.id)).toEqual([deltaOf(1).id]);
  expect(refusals.map(({ code }) => code)).toEqual(['CLOCK_AHEAD', 'CLOCK_AHEAD']);
});

test('[SY8] what a floor has swept passes', () => {
  const swept = deltaOf(1);
  const run = createStore([swept, floorOver(new Map([[me, { seq: 1, hlc: swept.hlc }]]), other, NOW + 100 * MAX)]);
  const { passed } = run((tx) => siftAhead(tx, room, [pushed(swept, MAX + 1)], MAX));
  expect(passed).toHaveLength(1);
});
