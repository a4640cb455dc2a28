import { expect, test } from 'vitest';
import { document, makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { recordPayloadToBytes } from '../body.js';
import { covers } from '../context.js';
import { utf8ToBytes } from '../bytes.js';
import { hlcFromMs } from '../hlc.js';
import type { KeyName, ReplicaId } from '../ids.js';
import { MemoryTables } from '../store/memory-store.js';
import { acceptDeltas } from './accept.js';
import { appendToJournal, type Edit, type JournalRow, readJournal, readJournalOf } from './journal.js';
import { draftUnkept, isUnkept, keepRows, unkeptNumber, withUnkept } from './unkept.js';

const other = replicaOf(1) as ReplicaId;
const NOW = 1_000_000;

const put = (id: string, text: string): Edit => ({
  ...{ name: record(id), flags: 0, nonces: [] },
  payload: recordPayloadToBytes({ value: utf8ToBytes(text) }),
});
const write = (id: string, text: string): Edit => ({
  ...{ name: document(id), flags: 0, nonces: [1] },
  payload: utf8ToBytes(text),
});

function openJournal() {
  const tables = new MemoryTables();
  let drafted = 0;
  const self = {
    tables,
    append: (nowMs: number, ...edits: Edit[]) =>
      tables.transact((tx) => appendToJournal(tx, room, edits, nowMs)).result,
    draft: (nowMs: number, edits: readonly Edit[], unkept: readonly JournalRow[] = []) => {
      const { result, writes } = tables.transact((tx) =>
        draftUnkept(tx, room, edits, unkept, nowMs, () => unkeptNumber(7, drafted++)),
      );
      expect(writes, 'a draft writes nothing').toEqual([]);
      return result;
    },
    keep: (rows: readonly JournalRow[]) => tables.transact((tx) => keepRows(tx, rows)).result,
    receive: (name: KeyName, text: string, hlcMs: number) => {
      const delta = makeDelta({ replica: other, seq: hlcMs, name, hlc: hlcFromMs(hlcMs), text });
      tables.transact((tx) => acceptDeltas(tx, room, [delta], { nowMs: NOW, from: 'others', retain: () => false }));
      return delta;
    },
    rows: () => [...tables.transact(readJournal).result].sort((a, b) => a.number - b.number),
    texts: () => self.rows().map(({ payload }) => new TextDecoder().decode(payload.subarray(-1))),
  };
  return self;
}

test('[JS7] a draft has its time and a number that no journal gives, after all that waits already', () => {
  const journal = openJournal();
  journal.append(NOW, put('a', '1'));
  const first = journal.draft(NOW - 5, [put('a', '2'), write('n', '3')]);
  const second = journal.draft(NOW - 5, [put('b', '4')], first);
  const times = [...journal.rows(), ...first, ...second].map(({ writtenAt }) => writtenAt);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(new Set(times).size).toBe(4);
  expect([...first, ...second].every(({ number }) => isUnkept(number) && Number.isSafeInteger(number))).toBe(true);
  expect(journal.rows().some(({ number }) => isUnkept(number))).toBe(false);
});

test('[JS7] [CX5] the context is that of the moment of the write, whatever comes before there is room', () => {
  const journal = openJournal();
  const seen = journal.receive(record('a'), 'x', 10);
  const drafted = journal.draft(NOW, [put('a', '1')]);
  const unseen = journal.receive(record('a'), 'y', 20);
  journal.keep(drafted);
  const [row] = journal.rows() as [JournalRow];
  expect(row.number).toBe(1);
  expect(row.writtenAt).toBe(drafted[0]?.writtenAt);
  expect([seen, unseen].map((delta) => covers(row.context, delta))).toEqual([true, false]);
});

test('[JS7] what is kept late stands before what was written later, also by another tab', () => {
  const journal = openJournal();
  const early = journal.draft(NOW, [put('a', '1'), put('b', '2')]);
  journal.append(NOW + 10, put('a', '3'));
  journal.append(NOW + 20, put('a', '4'));
  expect(journal.keep(early).map(({ number }) => number)).toEqual([3, 4]);
  const ofA = journal.tables.transact((tx) => readJournalOf(tx, (early[0] as JournalRow).keyId)).result;
  expect(ofA.map(({ payload }) => new TextDecoder().decode(payload.subarray(-1)))).toEqual(['1', '3', '4']);
  expect(journal.texts()).toEqual(['1', '3', '4', '2']);
  const later = journal.append(NOW - 50, put('a', '5'));
  expect(Math.max(...journal.rows().map(({ writtenAt }) => writtenAt))).toBe(later[0]?.writtenAt);
});

test('[JS7] readers see what is unkept as if it were there, and the tables stay as they are', () => {
  const journal = openJournal();
  journal.append(NOW, put('a', '1'));
  const unkept = journal.draft(NOW, [put('a', '2'), put('c', '3')]);
  const before = journal.tables.dump();
  const read = journal.tables.transact(
    withUnkept(function* (tx) {
      return {
        journal: (yield* readJournal(tx)).map(({ number }) => isUnkept(number)).sort(),
        names: (yield* tx.keys('names', { from: new Uint8Array() })).length,
      };
    }, unkept),
  );
  expect(read.result).toEqual({ journal: [false, true, true], names: 2 });
  expect(read.writes).toEqual([]);
  expect(journal.tables.dump()).toEqual(before);
});

test('[JS8] rows that are carried into an empty store keep time and context, and its clock lies above them', () => {
  const [failed, fresh] = [openJournal(), openJournal()];
  const seen = failed.receive(record('a'), 'x', NOW - 5);
  const carried = failed.append(NOW, put('a', '1'), write('n', '2'));
  fresh.keep(carried);
  const [row] = fresh.rows() as [JournalRow];
  expect(covers(row.context, seen)).toBe(true);
  expect(row.writtenAt).toBe(carried[0]?.writtenAt);
  const [next] = fresh.append(0, put('a', '3')) as [JournalRow];
  expect(next.writtenAt).toBeGreaterThan(carried[1]?.writtenAt ?? 0);
});
