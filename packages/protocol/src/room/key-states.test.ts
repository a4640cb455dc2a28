import { expect, test } from 'vitest';
import { document, keyIdOf, makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { hlcFromMs } from '../hlc.js';
import { bytesToKeyId } from '../ids.js';
import { MemoryTables } from '../store/memory-store.js';
import { type Plan, type Read, type Row, runPlan } from '../store/plan.js';
import { acceptDeltas } from './accept.js';
import { appendToJournal, keyIdsOf, readHeldBy, readKeyState } from './journal.js';
import { readKeyStates } from './key-states.js';

const me = replicaOf(0);
const other = replicaOf(1);
const NOW = 1_000_000_000;
const EDIT = { flags: 0, nonces: [], payload: new Uint8Array(3) };

/** Records with a delta, with two, with a row of the journal, with both or with none, and documents between them. */
function createRoom(recordCount: number, documentCount: number) {
  const tables = new MemoryTables();
  const run = <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
  const names = Array.from({ length: recordCount }, (_, i) => record(`r${i}`));
  const documents = Array.from({ length: documentCount }, (_, i) => document(`d${i}`));
  const deltas = [...documents, ...names].flatMap((name, i) => {
    const delta = (replica: typeof me) => makeDelta({ replica, seq: i + 1, name, hlc: hlcFromMs(NOW + i) });
    return [[delta(me)], [delta(me), delta(other)], []][i % 3] as ReturnType<typeof delta>[];
  });
  run((tx) => acceptDeltas(tx, room, deltas, { nowMs: NOW, from: 'others', retain: () => true }));
  const edits = names.filter((_, i) => i % 5 < 2).map((name) => ({ ...EDIT, name }));
  run((tx) => appendToJournal(tx, room, edits, NOW + 10_000_000));
  return { tables, run, names };
}

test.each([
  ['few', 40, 10],
  ['many, with few others between', 2_000, 7],
  ['many, with as many others between', 600, 900],
  ['many, among very many others', 140, 4_700],
])('%s keys that are read together stand as they do one by one', (_, recordCount, documentCount) => {
  const { run, names } = createRoom(recordCount, documentCount);
  const keyIds = [...names.map(keyIdOf), keyIdOf(record('nothing'))];
  const states = run((tx) => readKeyStates(tx, room, keyIds));
  expect(states).toHaveLength(keyIds.length);
  for (const [i, keyId] of keyIds.entries()) expect(states[i]).toEqual(run((tx) => readKeyState(tx, room, keyId)));
});

test.each([
  ['few', 40, 10],
  ['many, with few others between', 2_000, 7],
  ['many, among very many others', 140, 4_700],
])(
  '[CX5] the writers of %s edits that are journaled together hold what they would hold one by one',
  (_, recordCount, documentCount) => {
    const { run, names } = createRoom(recordCount, documentCount);
    const edits = [...names, record('nothing'), document('d0')].map((name) => ({ ...EDIT, name }));
    const heldBy = (some: typeof edits) => run((tx) => readHeldBy(tx, room, some, keyIdsOf(room, some)));
    const together = heldBy(edits);
    expect(together.filter(({ stamps, dots }) => stamps.size + dots.length > 0).length).toBeGreaterThan(
      names.length / 2,
    );
    for (const [i, edit] of edits.entries()) expect([together[i]]).toEqual(heldBy([edit]));
  },
);

test('[CX5] many edits are journaled in a few requests, as are records that nobody has written yet', () => {
  const { tables, names } = createRoom(2_000, 7);
  const fresh = Array.from({ length: 2_000 }, (_, i) => record(`fresh ${i}`));
  for (const [written, requestsMax] of [
    [names, 60],
    [fresh, 10],
  ] as const) {
    let requests = 0;
    const edits = written.map((name) => ({ ...EDIT, name }));
    runPlan(
      (tx) => appendToJournal(tx, room, edits, NOW + 20_000_000),
      (one) => {
        // What is quarantined of one that is held, and what floors say of its writers, is asked for each.
        if (one.table !== 'quarantine' && one.table !== 'floors') requests++;
        return tables.read(one);
      },
    );
    expect(requests, 'one for each key otherwise').toBeLessThan(requestsMax);
  }
});

test('a room of records is read in a few requests, and no body of a document with it', () => {
  const { tables, names } = createRoom(2_000, 7);
  const read: Read[] = [];
  const keyIds = names.map(keyIdOf);
  runPlan(
    (tx) => readKeyStates(tx, room, keyIds),
    (one) => {
      read.push(one);
      return tables.read(one);
    },
  );
  expect(read.length, 'two for each key otherwise').toBeLessThan(60);
  const wanted = new Set(keyIds);
  const passed = read.filter(({ kind }) => kind === 'rows').flatMap((one) => tables.read(one) as readonly Row[]);
  expect(passed.filter(([key]) => !wanted.has(bytesToKeyId(key.subarray(0, 16))))).toEqual([]);
});
