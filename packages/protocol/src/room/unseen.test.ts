import { expect, test } from 'vitest';
import {
  contextOf,
  document,
  keyIdOf,
  makeDelta,
  record,
  replicaOf,
  room,
  signStub,
} from '../../../../test/interop/fixture.js';
import { covers } from '../context.js';
import { type Delta, FLAG } from '../delta.js';
import type { ErrorCode } from '../errors.js';
import type { KeyName, ReplicaId } from '../ids.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import { takeIdentity } from './identity.js';
import { appendToJournal, readJournal, readSiblings } from './journal.js';
import { acceptAndLog } from './log.js';
import { writeNumber } from './meta.js';
import { receiveDeltas } from './receive.js';
import { acknowledge, commitSeal, draftSeal } from './seal.js';

const [me, other] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const NOW = 1_000_000_000;
const k = record('k');
const d = document('d');

function createReplica() {
  const tables = new MemoryTables();
  const run = <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
  run((tx) => takeIdentity(tx, room, me));
  return {
    run,
    write: (name: KeyName, text: string) => {
      const payload = new TextEncoder().encode(text);
      run((tx) => appendToJournal(tx, room, [{ name, flags: 0, nonces: [], payload }], NOW));
    },
    seal: (): readonly Delta[] => {
      const mergeUpdates = ([update]: readonly Uint8Array[]) => update as Uint8Array;
      const options = { replica: me, nowMs: NOW, mergeUpdates, deflate: (bytes: Uint8Array) => bytes };
      const sealed = run((tx) => draftSeal(tx, room, options)).map(({ unsigned, rows }) => ({
        delta: signStub(unsigned),
        rows,
      }));
      expect(run((tx) => commitSeal(tx, room, sealed, 0, NOW))).toBeDefined();
      return sealed.map(({ delta }) => delta);
    },
    take: (delta: Delta, name: KeyName, { takenSeq = 0, fault }: { takenSeq?: number; fault?: ErrorCode } = {}) => {
      const options = { nowMs: NOW, cursor: undefined, replica: me, compare: () => undefined, takenSeq };
      return run((tx) => receiveDeltas(tx, room, [{ delta, name, fault }], [], options));
    },
    rows: () => run((tx) => readJournal(tx)).map(({ payload }) => new TextDecoder().decode(payload)),
    siblings: (name: KeyName) => run((tx) => readSiblings(tx, room, keyIdOf(name))),
    size: (table: 'outbox' | 'retained') => tables.table(table).size,
  };
}

/** Somebody else's delta over all that this replica has sealed. */
function over(delta: Delta, name: KeyName, flags = 0): Delta {
  const context = contextOf([[me, delta.hlc]]);
  return makeDelta({ replica: other, seq: 1, hlc: delta.hlc + 5_000, name, flags, context, text: 'theirs'.repeat(9) });
}

test('[CX10] scenario 27: what nobody can have seen is sealed anew above what covers it, and stands beside it', () => {
  const replica = createReplica();
  replica.write(k, 'mine');
  const [delta] = replica.seal() as [Delta];
  const theirs = over(delta, k);
  const { unseen } = replica.take(theirs, k);
  expect(unseen.map(({ seq, rows }) => [seq, rows.length])).toEqual([[delta.seq, 1]]);
  expect([replica.rows(), replica.size('outbox')]).toEqual([['mine'], 0]);
  const [again] = replica.seal() as [Delta];
  expect([covers(theirs.context, again), covers(again.context, theirs)]).toEqual([false, false]);
  expect(
    replica
      .siblings(k)
      .map(({ id }) => id)
      .sort(),
  ).toEqual([again.id, theirs.id].sort());
});

test('[CX10] what a relay has acknowledged, has told to know, or a backup has, may have been seen and goes', () => {
  for (const know of ['acknowledged', 'told', 'backed up']) {
    const replica = createReplica();
    replica.write(k, 'mine');
    const [delta] = replica.seal() as [Delta];
    if (know === 'acknowledged') replica.run((tx) => acknowledge(tx, room, me, [delta.seq]));
    if (know === 'backed up')
      replica.run(function* (tx) {
        writeNumber(tx, 'shown', delta.seq);
        yield* tx.keys('meta', { from: new Uint8Array(), limit: 1 });
      });
    const { unseen } = replica.take(over(delta, k), k, { takenSeq: know === 'told' ? delta.seq : 0 });
    expect([unseen, replica.rows(), replica.siblings(k).length], know).toEqual([[], [], 1]);
  }
});

test('[CX10, CX8] of a document it goes back only where what covers it cannot be used, and is kept but once', () => {
  const replica = createReplica();
  replica.write(d, 'mine');
  const [delta] = replica.seal() as [Delta];
  expect(replica.take(over(delta, d, FLAG.checkpoint), d).unseen, 'compared, so it says what was mine').toEqual([]);
  const another = createReplica();
  another.write(d, 'mine');
  const [edit] = another.seal() as [Delta];
  expect(another.take(over(edit, d, FLAG.checkpoint), d, { fault: 'UNDECODABLE' }).unseen).toHaveLength(1);
  expect([another.rows(), another.size('retained')]).toEqual([['mine'], 0]);
});

test('[CX10] a relay does not take what comes after what covers it, but for what its author himself covers', () => {
  const tables = new MemoryTables();
  const push = (...deltas: readonly Delta[]) =>
    tables.transact((tx) => acceptAndLog(tx, room, deltas, { nowMs: NOW, retain: () => true, from: 'author' })).result;
  const mine = (seq: number, context = contextOf([])) =>
    makeDelta({ replica: me, seq, hlc: seq * 10, prev: 0, name: k, context, text: `${seq}` });
  expect(push(mine(1)).outcomes).toEqual(['added']);
  const theirs = makeDelta({ replica: other, seq: 1, hlc: 45, name: k, context: contextOf([[me, 40]]) });
  expect(push(theirs).outcomes).toEqual(['added']);
  const { outcomes, fresh } = push(mine(1), mine(3));
  expect([outcomes, fresh]).toEqual([['known', 'unseen'], []]);
  const above = mine(6, contextOf([[me, 50]]));
  expect(push(above, mine(5)).outcomes, 'its own was late').toEqual(['added', 'superseded']);
  const late = makeDelta({ replica: replicaOf(2), seq: 1, hlc: 70, name: k, context: contextOf([[me, 65]]) });
  expect(push(late, mine(7)).outcomes).toEqual(['added', 'added']);
  const both = makeDelta({ replica: replicaOf(2), seq: 2, hlc: 95, prev: 70, name: k, context: contextOf([[me, 90]]) });
  expect(push(both, mine(9)).outcomes, 'in one batch').toEqual(['added', 'unseen']);
});
