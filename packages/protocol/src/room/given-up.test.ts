import { describe, expect, test } from 'vitest';
import { record, replicaOf, room, signStub } from '../../../../test/interop/fixture.js';
import { floorOver } from '../../../../test/interop/floor-world.js';
import { recordPayloadToBytes } from '../body.js';
import { utf8ToBytes } from '../bytes.js';
import { parseTrieKey } from '../delta.js';
import { floorToBytes, standingOf } from '../floor.js';
import type { ReplicaId } from '../ids.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import { acceptDeltas } from './accept.js';
import { giveUpLost, readGivenUp } from './given-up.js';
import { takeIdentity } from './identity.js';
import { appendToJournal } from './journal.js';
import { scrubStep } from './scrub.js';
import { acknowledge, commitSeal, draftSeal, readOutboxEntries } from './seal.js';
import { dropSettled } from './unsent.js';

const [me] = [replicaOf(0)] as [ReplicaId];
const NOW = 1_000_000_000;

function createReplica() {
  const tables = new MemoryTables();
  const run = <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
  run((tx) => takeIdentity(tx, room, me));
  return {
    tables,
    run,
    write: (id: string, text: string, nowMs: number): void => {
      const payload = recordPayloadToBytes({ value: utf8ToBytes(text) });
      run((tx) => appendToJournal(tx, room, [{ name: record(id), flags: 0, nonces: [], payload }], nowMs));
      const options = {
        ...{ replica: me, nowMs, deflate: (bytes: Uint8Array) => bytes },
        mergeUpdates: ([update]: readonly Uint8Array[]) => update as Uint8Array,
      };
      const drafts = run((tx) => draftSeal(tx, room, options));
      const sealed = drafts.map(({ unsigned, rows }) => ({ delta: signStub(unsigned), rows }));
      expect(run((tx) => commitSeal(tx, room, sealed, 0, NOW))).toBeDefined();
    },
    outbox: (): readonly number[] => run((tx) => readOutboxEntries(tx)).map(({ seq }) => seq),
    loseAll: (): void => {
      const deltas = tables.table('deltas');
      for (const [key] of deltas.rows({ from: new Uint8Array() })) deltas.delete(key);
    },
  };
}

const seqsOf = (lost: readonly { readonly seq: number }[]): readonly number[] => lost.map(({ seq }) => seq);

test('[AE7] an own write that the disk has lost is given up, and is not waited for any more; what is held is neither', () => {
  const { outbox, run, loseAll, write } = createReplica();
  write('a', 'lost', NOW);
  write('b', 'lost too', NOW);
  expect(run((tx) => readGivenUp(tx, room, me))).toEqual([]);
  loseAll();
  run((tx) => scrubStep(tx, room));
  write('c', 'held', NOW);
  expect(run((tx) => readGivenUp(tx, room, me))).toEqual([
    { seq: 1, writes: 1 },
    { seq: 2, writes: 1 },
  ]);
  expect(outbox(), 'looking changes nothing').toEqual([1, 2, 3]);
  expect(seqsOf(run((tx) => giveUpLost(tx, room, me)))).toEqual([1, 2]);
  expect(outbox()).toEqual([3]);
  expect(run((tx) => giveUpLost(tx, room, me))).toEqual([]);
  write('d', 'goes on', NOW);
  expect(outbox(), 'a number that was given is not given again').toEqual([3, 4]);
});

test('[AE7] what no scrub has come upon yet is given up all the same', () => {
  const { outbox, run, loseAll, write } = createReplica();
  write('a', 'lost', NOW);
  loseAll();
  expect(seqsOf(run((tx) => giveUpLost(tx, room, me)))).toEqual([1]);
  expect(outbox()).toEqual([]);
});

test('[AE7] what was superseded before it was sent is not lost: what superseded it stands for it', () => {
  const { outbox, run, write } = createReplica();
  write('a', 'one', NOW);
  write('a', 'two', NOW + 1);
  expect(outbox()).toEqual([1, 2]);
  expect(run((tx) => giveUpLost(tx, room, me))).toEqual([]);
});

test('[AE7] a checkpoint is never given up: what it covers is kept for as long as it waits', () => {
  const { tables, outbox, run, loseAll, write } = createReplica();
  write('a', 'lost', NOW);
  loseAll();
  // Nobody's write: the first number of a row says how many it stands for.
  const rows = tables.table('outbox');
  for (const [key, row] of rows.rows({ from: new Uint8Array() })) rows.put(key, Uint8Array.of(0, ...row.subarray(1)));
  expect(run((tx) => giveUpLost(tx, room, me))).toEqual([]);
  expect(outbox()).toEqual([1]);
});

test('[AE7] where the relay has acknowledged it there is nothing to give up', () => {
  const { run, loseAll, write } = createReplica();
  write('a', 'lost here', NOW);
  run((tx) => acknowledge(tx, room, me, [1]));
  loseAll();
  expect(run((tx) => giveUpLost(tx, room, me))).toEqual([]);
});

describe('lost here, and reached by a floor that somebody wrote who had it from a relay', () => {
  /** What `write` has made, lost before any acknowledgement came, and then the floor of another over it. */
  function loseUnderFloor({ stands }: { stands: boolean }) {
    const replica = createReplica();
    replica.write('a', 'at the relay', NOW);
    const [trieKey] = replica.run((tx) => tx.keys('deltas', { from: new Uint8Array() }));
    const { id, hlc } = parseTrieKey(trieKey as Uint8Array);
    replica.loseAll();
    replica.run((tx) => scrubStep(tx, room));
    const reach = new Map([[me, { seq: 1, hlc }]]);
    const standing = standingOf(stands ? [id] : []);
    const floor = floorOver(reach, replicaOf(1), hlc + 1, floorToBytes({ reach, standing, witnesses: [] }));
    replica.run((tx) => acceptDeltas(tx, room, [floor], { nowMs: NOW, from: 'others', retain: () => false }));
    return replica;
  }

  test('[AE7] one that the floor has swept counts as acknowledged', () => {
    const { run, outbox } = loseUnderFloor({ stands: false });
    expect(
      run((tx) => giveUpLost(tx, room, me)),
      'nothing of it is lost',
    ).toEqual([]);
    expect(run((tx) => dropSettled(tx, room, me))).toEqual([1]);
    expect(outbox()).toEqual([]);
  });

  test('[AE7] one that the floor lets stand is waited for, as whoever wrote that has it', () => {
    const { run, outbox } = loseUnderFloor({ stands: true });
    expect(run((tx) => dropSettled(tx, room, me))).toEqual([]);
    expect(run((tx) => giveUpLost(tx, room, me))).toEqual([]);
    expect(outbox()).toEqual([1]);
  });
});
