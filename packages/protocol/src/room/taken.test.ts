import { expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { u64ToBytes } from '../bytes.js';
import { hlcFromMs } from '../hlc.js';
import { shortIdToBytes } from '../ids.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import { acceptAndLog } from './log.js';
import { writeNumber } from './meta.js';
import { outboxEntryToBytes } from './outbox-entry.js';
import { isWrittenElsewhere, type LastTaken, readLastTaken } from './taken.js';

const me = replicaOf(0);
const other = replicaOf(1);
const NOW = 1_000_000_000;

function createStore() {
  const tables = new MemoryTables();
  return <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
}

const deltaOf = (seq: number, text = 'mine', replica = me) =>
  makeDelta({ replica, seq, name: record('a'), hlc: hlcFromMs(NOW + seq), text });

test('[SY24] a relay tells the number and the id of the last delta that a replica has pushed itself', () => {
  const run = createStore();
  const options = { nowMs: NOW, retain: () => true };
  expect(run((tx) => readLastTaken(tx, me))).toEqual({ lastSeq: 0, lastId: undefined });
  const [first, second, third] = [deltaOf(1), deltaOf(2), deltaOf(3)];
  run((tx) => acceptAndLog(tx, room, [second, first], { ...options, from: 'author' }));
  expect(run((tx) => readLastTaken(tx, me))).toEqual({ lastSeq: 2, lastId: shortIdToBytes(second.id) });
  expect(run((tx) => readLastTaken(tx, other)).lastSeq).toBe(0);
  // Superseded, it is still the last.
  const covering = makeDelta({
    replica: other,
    seq: 1,
    name: record('a'),
    hlc: hlcFromMs(NOW + 50),
    context: { stamps: new Map([[me, second.hlc]]), dots: [] },
  });
  run((tx) => acceptAndLog(tx, room, [covering], { ...options, from: 'author' }));
  expect(run((tx) => readLastTaken(tx, me))).toEqual({ lastSeq: 2, lastId: shortIdToBytes(second.id) });
  // A replay of an earlier one says nothing new; of one that others brought only the number is known.
  run((tx) => acceptAndLog(tx, room, [first], { ...options, from: 'author' }));
  run((tx) => acceptAndLog(tx, room, [third], { ...options, from: 'others' }));
  expect(run((tx) => readLastTaken(tx, me))).toEqual({ lastSeq: 3, lastId: undefined });
});

test('[SY24] who never gave the number that a relay has, or gave it to another delta, is a copy', () => {
  const run = createStore();
  const mine = deltaOf(4);
  run(function* (tx) {
    yield* [];
    writeNumber(tx, 'seq', 4);
    tx.put('outbox', u64ToBytes(4), outboxEntryToBytes({ writes: 1, oldestAtMs: 0 }, mine));
  });
  const isCopy = (last: LastTaken) => run((tx) => isWrittenElsewhere(tx, last));
  expect(isCopy({ lastSeq: 0, lastId: undefined }), 'a relay that knows nothing').toBe(false);
  expect(isCopy({ lastSeq: 3, lastId: shortIdToBytes(deltaOf(3, 'acknowledged').id) })).toBe(false);
  expect(isCopy({ lastSeq: 4, lastId: shortIdToBytes(mine.id) }), 'an acknowledgement was lost').toBe(false);
  expect(isCopy({ lastSeq: 4, lastId: undefined }), 'others brought it').toBe(false);
  expect(isCopy({ lastSeq: 4, lastId: shortIdToBytes(deltaOf(4, 'theirs').id) })).toBe(true);
  expect(isCopy({ lastSeq: 5, lastId: undefined })).toBe(true);
});
