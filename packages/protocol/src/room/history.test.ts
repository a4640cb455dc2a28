import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  contextOf,
  document,
  fullRoom,
  headerOf,
  keyIdOf,
  makeDelta,
  record,
  replicaOf,
  sha256,
  signStub,
} from '../../../../test/interop/fixture.js';
import { historySteps, makeHistory, siblingsOf } from '../../../../test/interop/history.js';
import { bodyOfDelta } from '../body.js';
import { bytesToHex, compareBytes } from '../bytes.js';
import { bytesToDelta, type Delta, FLAG, hasFlag, makeUnsignedDelta, trieKeyOf } from '../delta.js';
import { floorOf, floorToBytes } from '../floor.js';
import { deriveFloorKeyId, type KeyId, type ReplicaId } from '../ids.js';
import { buildTrie, readRoot } from '../merkle/trie.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Table } from '../store/table.js';
import { acceptDeltas, removeDelta } from './accept.js';
import type { Arrival } from './arrival.js';
import { readCheckpointSources } from './checkpoint.js';
import { draftFloor } from './floor.js';
import { readKeysByStamp, readReplacedKeys, readUpdatesUpTo } from './history.js';
import { takeIdentity } from './identity.js';
import { appendToJournal, readJournal, readSiblings } from './journal.js';
import { commitMerged, readWholeDocument, readMergeSources } from './merge.js';
import { receiveDeltas } from './receive.js';
import { commitSeal, draftSeal } from './seal.js';
import { FIRST_PLACE, NOTHING_FOUND, addFindings, type ScrubPlace, scrubStep } from './scrub.js';
import { withdrawDelta } from './withdraw.js';
import { defaultLimits } from '../limits.js';

const [a, b, c] = [0, 1, 2].map(replicaOf) as [ReplicaId, ReplicaId, ReplicaId];
const EVERYTHING = { from: new Uint8Array() };
const EAGER = { ...defaultLimits, checkpointTailBytesMin: 1, checkpointRatio: 0 };

/** At a replica, which reads; the body of a delta with one of `unusable` cannot be used. */
function receive(tables: MemoryTables, deltas: readonly Delta[], unusable: ReadonlySet<string> = new Set()) {
  const arrivals = deltas.map(
    (delta): Arrival => ({
      delta,
      name: hasFlag(delta, FLAG.floor) ? undefined : bodyOfDelta(delta).name,
      fault: unusable.has(delta.id) ? 'UNDECODABLE' : undefined,
    }),
  );
  const options = { nowMs: 0, cursor: undefined, replica: c, compare: () => undefined };
  return tables.transact((tx) => receiveDeltas(tx, fullRoom, arrivals, [], options)).result;
}

function replicaTables(): MemoryTables {
  const tables = new MemoryTables();
  tables.transact((tx) => takeIdentity(tx, fullRoom, c));
  return tables;
}

const idsOf = (deltas: readonly { readonly id: string }[]): string[] => deltas.map(({ id }) => id).sort();
const siblingIds = (tables: MemoryTables, keyId: KeyId): string[] =>
  idsOf(tables.transact((tx) => readSiblings(tx, fullRoom, keyId)).result);
const heldIn = (tables: MemoryTables): Delta[] =>
  tables
    .table('deltas')
    .rows(EVERYTHING)
    .map(([, bytes]) => bytesToDelta(sha256, fullRoom.roomId, bytes));
const countOf = (tables: MemoryTables, table: Table): number => tables.table(table).rows(EVERYTHING).length;
const textsOf = (updates: readonly Uint8Array[]): string[] =>
  updates.flatMap((update) => Buffer.from(update).toString().split(',')).sort();

/** Any order, some of it twice, in batches of any size. */
const deliveries = fc.record({
  ranks: fc.array(fc.nat(1_000), { minLength: 24, maxLength: 24 }),
  again: fc.array(fc.nat(), { maxLength: 6 }),
  size: fc.integer({ min: 1, max: 6 }),
});
type Delivery = { ranks: readonly number[]; again: readonly number[]; size: number };

function deliver(
  tables: MemoryTables,
  all: readonly Delta[],
  { ranks, again, size }: Delivery,
  bad?: ReadonlySet<string>,
) {
  const queue = all.map((delta, i) => ({ delta, rank: ranks[i % ranks.length] as number }));
  if (queue.length > 0) queue.push(...again.map((pick) => queue[pick % queue.length] as (typeof queue)[number]));
  const inOrder = queue.sort((x, y) => x.rank - y.rank).map(({ delta }) => delta);
  for (let at = 0; at < inOrder.length; at += size) receive(tables, inOrder.slice(at, at + size), bad);
  return tables;
}

function scrub(tables: MemoryTables) {
  let findings = NOTHING_FOUND;
  for (let place: ScrubPlace | undefined = FIRST_PLACE; place !== undefined; ) {
    const at: ScrubPlace = place;
    const { result } = tables.transact((tx) => scrubStep(tx, fullRoom, at));
    findings = addFindings(findings, result.findings);
    place = result.next;
  }
  return findings;
}

describe('the set of a room of full history', () => {
  test('[FH1, MK1] is all that ever came, whatever supersedes what, in whatever order', () => {
    fc.assert(
      fc.property(historySteps, deliveries, (steps, delivery) => {
        const all = makeHistory(steps).map(({ delta }) => delta);
        const tables = deliver(replicaTables(), all, delivery);
        expect(idsOf(heldIn(tables))).toEqual(idsOf(all));
        const { root, count } = tables.transact(readRoot).result;
        expect(count).toBe(all.length);
        expect(bytesToHex(root)).toBe(bytesToHex(buildTrie(sha256, all.map(trieKeyOf).sort(compareBytes)).root));
        for (const table of ['contexts', 'retained', 'trash'] as const) expect(countOf(tables, table), table).toBe(0);
      }),
    );
  });

  test('[FH1] a second delta on a dot is kept beside the first, and refused from its author', () => {
    const one = makeDelta({ replica: a, seq: 1, hlc: 5, text: 'one' });
    const other = makeDelta({ replica: a, seq: 1, hlc: 6, text: 'other' });
    const options = { nowMs: 0, from: 'others', retain: () => true } as const;
    const tables = new MemoryTables();
    const outcomes = (deltas: readonly Delta[], from: 'author' | 'others') =>
      tables.transact((tx) => acceptDeltas(tx, fullRoom, deltas, { ...options, from })).result.outcomes;
    expect(outcomes([one], 'author')).toEqual(['added']);
    expect(outcomes([other, one], 'author')).toEqual(['reused', 'known']);
    expect(outcomes([other, other], 'others')).toEqual(['forked', 'known']);
    expect(countOf(tables, 'past'), 'a relay reads nothing').toBe(0);
  });

  test('[FH1] a floor is a delta like any: it sweeps nothing, and none is drafted', () => {
    const old = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const body = floorToBytes({
      reach: new Map([[a, { seq: 9, hlc: 9 as never }]]),
      standing: new Uint8Array(),
      witnesses: [],
    });
    const header = {
      ...headerOf({ replica: b, seq: 1, hlc: 20 }),
      flags: FLAG.floor,
      keyId: deriveFloorKeyId(sha256, fullRoom.roomId),
    };
    const floor = signStub(makeUnsignedDelta(sha256, fullRoom.roomId, header, body));
    expect(floorOf(floor)).toBeDefined();
    const tables = replicaTables();
    expect(receive(tables, [old, floor]).swept).toEqual([]);
    const late = makeDelta({ replica: a, seq: 2, hlc: 8, prev: 5 });
    expect(receive(tables, [late]).outcomes).toEqual(['added']);
    expect(idsOf(heldIn(tables))).toEqual(idsOf([old, floor, late]));
    const tombstone = makeDelta({
      replica: a,
      seq: 3,
      hlc: 30,
      prev: 8,
      flags: FLAG.tombstone,
      context: contextOf([[a, 8]]),
    });
    receive(tables, [tombstone]);
    const limits = { ...defaultLimits, floorTombstonesMin: 1 };
    expect(tables.transact((tx) => draftFloor(tx, fullRoom, c, 0, limits)).result).toBeUndefined();
  });
});

describe('reading a room of full history', () => {
  test('[FH2] the siblings of a record are what no delta that can be used has seen, whatever came when', () => {
    fc.assert(
      fc.property(historySteps, deliveries, fc.nat(), (steps, delivery, pick) => {
        const all = makeHistory(steps);
        const tables = deliver(
          replicaTables(),
          all.map(({ delta }) => delta),
          delivery,
        );
        for (const keyId of new Set(all.map(({ delta }) => delta.keyId))) {
          const expected = siblingsOf(all.filter(({ delta }) => delta.keyId === keyId));
          expect(siblingIds(tables, keyId)).toEqual(idsOf(expected.map(({ delta }) => delta)));
        }
        if (all.length === 0) return;
        // One that cannot be used hides nothing: what it alone has seen is read.
        const bad = (all[pick % all.length] as (typeof all)[number]).delta;
        const others = all.filter(({ delta }) => delta !== bad);
        const seen = new Set(others.flatMap(({ past }) => [...past]));
        const spoiled = deliver(
          replicaTables(),
          all.map(({ delta }) => delta),
          delivery,
          new Set([bad.id]),
        );
        const standing = all.filter(({ delta }) => delta.keyId === bad.keyId && !seen.has(delta.id));
        expect(siblingIds(spoiled, bad.keyId)).toEqual(idsOf(standing.map(({ delta }) => delta)));
      }),
    );
  });

  test('[FH2] what is taken out of the set hides nothing any more, and what could not be used hides from when it can', () => {
    const old = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const put = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const tables = replicaTables();
    receive(tables, [put, old], new Set([put.id]));
    expect(siblingIds(tables, old.keyId)).toEqual(idsOf([old, put]));
    receive(tables, [put]);
    expect(siblingIds(tables, old.keyId)).toEqual([put.id]);
    tables.transact((tx) => removeDelta(tx, fullRoom, put));
    expect(siblingIds(tables, old.keyId)).toEqual([old.id]);
  });

  test('[FH2, FH4] a long past is leapt over: reading asks for as little as where there is none', () => {
    const versions = Array.from({ length: 2_000 }, (_, i) => {
      const [replica, seq] = [i % 2 === 0 ? a : b, (i >> 1) + 1];
      const [own, other] = [10 * (i - 1), 10 * i];
      const stamps = (
        [
          [replica, own],
          [replica === a ? b : a, other],
        ] as const
      ).filter(([, hlc]) => hlc > 0);
      return makeDelta({
        replica,
        seq,
        hlc: 10 * (i + 1),
        prev: Math.max(0, 10 * (i - 1)),
        context: contextOf(stamps),
      });
    });
    const tables = replicaTables();
    receive(tables, versions);
    let asked = 0;
    const { result } = tables.transact(function* (tx) {
      const steps = readSiblings(tx, fullRoom, (versions[0] as Delta).keyId);
      for (let next = steps.next(); ; ) {
        if (next.done) return next.value;
        const answers = yield next.value;
        for (const answer of answers) asked += Array.isArray(answer) ? answer.length : 1;
        next = steps.next(answers);
      }
    });
    expect(idsOf(result)).toEqual([(versions.at(-1) as Delta).id]);
    expect(asked).toBeLessThan(120);
    const replaced = tables.transact((tx) => readReplacedKeys(tx, (versions[0] as Delta).keyId)).result;
    expect(replaced.map((key) => bytesToHex(key))).toEqual(
      versions.slice(0, -1).map((delta) => bytesToHex(trieKeyOf(delta))),
    );
  });

  test('[FH3] a checkpoint is set aside, and none is drafted', () => {
    const name = document('d');
    const edits = [1, 2, 3].map((seq) =>
      makeDelta({ replica: a, seq, hlc: 10 * seq, prev: 10 * (seq - 1), name, text: `${seq}` }),
    );
    const tables = replicaTables();
    const arrive = (delta: Delta): Arrival => ({ delta, name, fault: undefined });
    const options = { nowMs: 0, cursor: undefined, replica: c, compare: () => undefined };
    tables.transact((tx) => receiveDeltas(tx, fullRoom, edits.map(arrive), [], options));
    const { result } = tables.transact((tx) => readCheckpointSources(tx, fullRoom, c, keyIdOf(name), EAGER));
    expect(result.sources).toBeUndefined();
    const wrong = makeDelta({
      replica: b,
      seq: 1,
      hlc: 99,
      name,
      flags: FLAG.checkpoint,
      context: contextOf([[a, 30]]),
      text: `${'0'.repeat(32)}9`,
    });
    const { judgement } = tables.transact((tx) => receiveDeltas(tx, fullRoom, [arrive(wrong)], [], options)).result;
    expect(judgement.arrivals[0]?.fault).toBe('CHECKPOINT_WRONG');
    expect(textsOf(tables.transact((tx) => readWholeDocument(tx, fullRoom, keyIdOf(name))).result)).toEqual([
      '1',
      '2',
      '3',
    ]);
  });
});

describe('what a document comes to', () => {
  const name = document('d');
  const merge = (tables: MemoryTables, meanwhile: readonly Delta[] = []): boolean => {
    const { sources } = tables.transact((tx) => readMergeSources(tx, fullRoom, keyIdOf(name), EAGER)).result;
    receive(tables, meanwhile);
    if (sources === undefined) return false;
    const update = Buffer.from([...new Set(textsOf(sources.updates))].join(','));
    return tables.transact((tx) => commitMerged(tx, sources, update, 0)).result;
  };

  test('[FH4] any deltas in any order, merged in between at any time: all of them are read, and all are in the set', () => {
    const place = fc.record({ replica: fc.nat(2), hlc: fc.integer({ min: 1, max: 40 }) });
    const acts = fc.array(fc.record({ rank: fc.nat(1_000), merges: fc.boolean(), isBad: fc.boolean() }), {
      minLength: 40,
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(place, { maxLength: 40, selector: ({ replica, hlc }) => `${replica} ${hlc}` }),
        acts,
        (places, order) => {
          const all = places.map(({ replica, hlc }, i) =>
            makeDelta({ replica: replicaOf(replica), seq: i + 1, hlc, name, text: `${i}` }),
          );
          const queue = all.map((delta, i) => ({
            delta,
            ...(order[i] as { rank: number; merges: boolean; isBad: boolean }),
          }));
          const tables = replicaTables();
          const inOrder = queue.sort((x, y) => x.rank - y.rank);
          for (const [i, { delta, merges, isBad }] of inOrder.entries()) {
            if (countOf(tables, 'deltas') > 0 && merges) merge(tables, i % 2 === 0 && !isBad ? [delta] : []);
            receive(tables, [delta], new Set(isBad ? [delta.id] : []));
          }
          const good = queue.filter(({ isBad }) => !isBad).map(({ delta }) => `${all.indexOf(delta)}`);
          const read = tables.transact((tx) => readWholeDocument(tx, fullRoom, keyIdOf(name))).result;
          expect([...new Set(textsOf(read))].filter((text) => text !== '')).toEqual(good.sort());
          expect(idsOf(heldIn(tables))).toEqual(idsOf(all));
          expect(scrub(tables).mended).toBe(0);
        },
      ),
    );
  });

  test('[FH4] what is merged is read no more, what came late is, and another owner writes nothing', () => {
    const edit = (replica: ReplicaId, seq: number, hlc: number): Delta =>
      makeDelta({ replica, seq, hlc, name, text: `${replica === a ? 'a' : 'b'}${seq}` });
    const tables = replicaTables();
    receive(tables, [edit(a, 1, 10), edit(a, 3, 30), edit(b, 1, 40)]);
    expect(merge(tables)).toBe(true);
    expect(siblingIds(tables, keyIdOf(name))).toEqual([]);
    receive(tables, [edit(a, 2, 20), edit(b, 2, 50)]);
    expect(siblingIds(tables, keyIdOf(name))).toEqual(idsOf([edit(a, 2, 20), edit(b, 2, 50)]));
    expect(textsOf(tables.transact((tx) => readUpdatesUpTo(tx, fullRoom, keyIdOf(name), 30 as never)).result)).toEqual([
      'a1',
      'a2',
      'a3',
    ]);
    const { sources } = tables.transact((tx) => readMergeSources(tx, fullRoom, keyIdOf(name), EAGER)).result;
    if (sources === undefined) throw new Error('nothing to merge');
    expect(tables.transact((tx) => commitMerged(tx, sources, new Uint8Array(), 7)).result, 'another epoch').toBe(false);
    expect(tables.transact((tx) => readKeysByStamp(tx, keyIdOf(name))).result.map((key) => key[31])).toEqual([
      10, 20, 30, 40, 50,
    ]);
  });

  test('[AE1, AE2, FH4] rows that a disk has spoiled or lost are told anew, and all is read as before', () => {
    const edits = [1, 2, 3].map((seq) =>
      makeDelta({ replica: a, seq, hlc: 10 * seq, prev: 10 * (seq - 1), name, text: `${seq}` }),
    );
    const old = makeDelta({ replica: b, seq: 1, hlc: 5 });
    const put = makeDelta({ replica: b, seq: 2, hlc: 9, prev: 5, context: contextOf([[b, 5]]) });
    const spoils: Record<string, (tables: MemoryTables, table: Table, key: Uint8Array, row: Uint8Array) => void> = {
      lost: (tables, table, key) => tables.table(table).delete(key),
      turned: (tables, table, key, row) =>
        tables.table(table).put(
          key,
          row.map((byte, i) => (i === 1 ? byte ^ 4 : byte)),
        ),
      cut: (tables, table, key, row) => tables.table(table).put(key, row.slice(0, 3)),
    };
    for (const [how, spoil] of Object.entries(spoils)) {
      for (const table of ['past', 'merged'] as const) {
        const tables = replicaTables();
        receive(tables, [...edits, old, put]);
        expect(merge(tables)).toBe(true);
        for (const [key, row] of tables.table(table).rows(EVERYTHING)) spoil(tables, table, key, row);
        expect(scrub(tables).mended, `${table} ${how}`).toBeGreaterThan(0);
        expect(scrub(tables).mended, `${table} ${how}, again`).toBe(0);
        expect(siblingIds(tables, old.keyId), `${table} ${how}`).toEqual([put.id]);
        const read = tables.transact((tx) => readWholeDocument(tx, fullRoom, keyIdOf(name))).result;
        expect(textsOf(read), `${table} ${how}`).toEqual(['1', '2', '3']);
      }
    }
  });
});

describe('writing in a room of full history', () => {
  const options = {
    replica: c,
    nowMs: 1_000,
    mergeUpdates: (updates: readonly Uint8Array[]) => updates.at(-1) as Uint8Array,
    deflate: (bytes: Uint8Array) => bytes,
  };
  const write = (tables: MemoryTables, text: string): Delta => {
    const edit = { name: record('a'), flags: 0, nonces: [], payload: Buffer.from(`\0${text}`) };
    tables.transact((tx) => appendToJournal(tx, fullRoom, [edit], 1_000));
    const drafts = tables.transact((tx) => draftSeal(tx, fullRoom, options)).result;
    const sealed = drafts.map(({ unsigned, rows }) => ({ delta: signStub(unsigned), rows }));
    expect(tables.transact((tx) => commitSeal(tx, fullRoom, sealed, 0, 1_000)).result).toBeDefined();
    return (sealed[0] as (typeof sealed)[number]).delta;
  };

  test('[FH3, JS5] each sealed value stays; one that is refused and was replaced is not written again, the last one is', () => {
    const tables = replicaTables();
    const [first, second, third] = ['"1"', '"2"', '"3"'].map((text) => write(tables, text)) as [Delta, Delta, Delta];
    expect(siblingIds(tables, first.keyId)).toEqual([third.id]);
    expect(idsOf(heldIn(tables))).toEqual(idsOf([first, second, third]));
    expect(tables.transact((tx) => withdrawDelta(tx, fullRoom, c, second.seq)).result).toEqual([]);
    expect(siblingIds(tables, first.keyId)).toEqual([third.id]);
    expect(tables.transact((tx) => withdrawDelta(tx, fullRoom, c, third.seq)).result).toHaveLength(1);
    expect(tables.transact(readJournal).result).toHaveLength(1);
    expect(siblingIds(tables, first.keyId)).toEqual([first.id]);
  });
});
