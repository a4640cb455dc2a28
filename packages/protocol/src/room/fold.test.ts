import { describe, expect, test } from 'vitest';
import { document, makeDelta, record, replicaOf, room, signStub } from '../../../../test/interop/fixture.js';
import { bodyOfDelta, recordPayloadToBytes } from '../body.js';
import { concatBytes, utf8ToBytes } from '../bytes.js';
import { type Delta, FLAG } from '../delta.js';
import { hlcFromMs, hlcToMs } from '../hlc.js';
import type { ReplicaId } from '../ids.js';
import { MemoryTables } from '../store/memory-store.js';
import { acceptDeltas } from './accept.js';
import { type Folding, foldJournal } from './fold.js';
import { appendToJournal, type Edit, type JournalRow, readJournal } from './journal.js';
import { readClock, readNumber, writeNumber } from './meta.js';
import { countWrites, numbersOf } from './runs.js';
import { commitSeal, draftSeal, readOutboxEntries } from './seal.js';

const [me, other] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const NOW = 1_000_000;
const EPOCH = 3;
const mergeUpdates = (updates: readonly Uint8Array[]): Uint8Array => concatBytes(...updates);
const options = { replica: me, nowMs: 2 * NOW, mergeUpdates, deflate: (bytes: Uint8Array) => bytes };

function createReplica() {
  const tables = new MemoryTables();
  tables.transact(function* (tx) {
    writeNumber(tx, 'epoch', EPOCH);
  });
  let nowMs = NOW;
  const self = {
    append: (...edits: Edit[]) => tables.transact((tx) => appendToJournal(tx, room, edits, nowMs++)).result,
    write: (id: string, text: string, nonce = 1, flags = 0) =>
      self.append({ name: document(id), flags, nonces: flags === 0 ? [nonce] : [], payload: utf8ToBytes(text) }),
    put: (id: string, text: string) =>
      self.append({
        ...{ name: record(id), flags: 0, nonces: [] },
        payload: recordPayloadToBytes({ value: utf8ToBytes(text) }),
      }),
    drop: (id: string) =>
      self.append({ name: record(id), flags: FLAG.tombstone, nonces: [], payload: new Uint8Array() }),
    receive: (delta: Delta) =>
      tables.transact(function* (tx) {
        writeNumber(tx, 'clock', Math.max(yield* readClock(tx), delta.hlc));
        return yield* acceptDeltas(tx, room, [delta], { nowMs: NOW, from: 'others', retain: () => false });
      }),
    fold: (epoch = EPOCH): readonly (Folding | undefined)[] => {
      const foldings: (Folding | undefined)[] = [];
      let from: Uint8Array | undefined = new Uint8Array();
      while (from !== undefined) {
        const page: Uint8Array = from;
        const folding = tables.transact((tx) =>
          foldJournal(tx, { epoch, mergeUpdates, rowsMin: 256, from: page }),
        ).result;
        foldings.push(folding);
        from = folding?.next;
      }
      return foldings;
    },
    seal: (): readonly Delta[] => {
      const sealed = tables
        .transact((tx) => draftSeal(tx, room, options))
        .result.map(({ unsigned, rows }) => ({ delta: signStub(unsigned), rows }));
      expect(tables.transact((tx) => commitSeal(tx, room, sealed, EPOCH, NOW)).result).toBeDefined();
      return sealed.map(({ delta }) => delta);
    },
    journal: (): readonly JournalRow[] => tables.transact((tx) => readJournal(tx)).result,
    outbox: () => tables.transact((tx) => readOutboxEntries(tx)).result,
    seq: () => tables.transact((tx) => readNumber(tx, 'seq')).result,
  };
  return self;
}

describe('folding', () => {
  test('[JS6, JS2] what is sealed of a folded journal is what would have been sealed of its rows', () => {
    const [plain, folded] = [createReplica(), createReplica()];
    for (const replica of [plain, folded]) {
      for (let i = 0; i < 700; i++) {
        replica.write('d', `${i} `, 1 + (i % 3));
        if (i === 350) replica.receive(makeDelta({ replica: other, seq: 1, hlc: hlcFromMs(NOW), name: record('r') }));
        replica.put('r', `value ${i}`);
        if (i < 300) replica.put('gone', `${i}`);
      }
      replica.drop('gone');
      if (replica === folded) replica.fold();
    }
    expect(plain.journal()).toHaveLength(1_701);
    expect(folded.journal()).toHaveLength(3);
    expect(folded.seal().map(({ bytes }) => bytes)).toEqual(plain.seal().map(({ bytes }) => bytes));
    expect(folded.outbox()).toEqual(plain.outbox());
    expect(folded.journal()).toEqual([]);
  });

  test('[JS6] the row has the place of the last, the age of the first and the numbers of all', () => {
    const replica = createReplica();
    replica.write('a', 'between');
    for (let i = 0; i < 300; i++) replica.write('d', 'x');
    const before = replica.journal().filter(({ name }) => name.id === 'd');
    const [folding] = replica.fold();
    expect(folding).toEqual({ replaced: before, next: undefined });
    const [row] = replica.journal().filter(({ name }) => name.id === 'd') as [JournalRow];
    const last = before.at(-1) as JournalRow;
    expect([row.number, row.writtenAt, countWrites(row)]).toEqual([last.number, last.writtenAt, 300]);
    expect(hlcToMs(row.folded?.oldest ?? last.writtenAt)).toBe(NOW + 1);
    expect(numbersOf(row)).toEqual([{ from: 2, to: 301 }]);
    expect(replica.journal().filter(({ name }) => name.id === 'a')).toHaveLength(1);
  });

  test('[JS6, JS3] an owner whose epoch is gone folds nothing', () => {
    const replica = createReplica();
    for (let i = 0; i < 300; i++) replica.write('d', 'x');
    const before = replica.journal();
    expect(replica.fold(EPOCH - 1)).toEqual([undefined]);
    expect(replica.journal()).toEqual(before);
  });

  test('[JS6, JS1] rows that are not of one run stay apart: what is imported, and what comes behind it', () => {
    const replica = createReplica();
    for (const flags of [0, FLAG.import, 0]) for (let i = 0; i < 260; i++) replica.write('d', `${flags}`, 1, flags);
    replica.fold();
    expect(replica.journal().map((row) => [row.flags, countWrites(row)])).toEqual([
      [0, 260],
      [FLAG.import, 260],
      [0, 260],
    ]);
  });

  test('[JS6, DL1] rows of more nonces than a delta may have stay apart, and every one is sealed', () => {
    const replica = createReplica();
    for (let i = 0; i < 5_000; i++) replica.write('d', 'x', i);
    replica.fold();
    replica.fold();
    const deltas: Delta[] = [];
    while (replica.journal().length > 0) deltas.push(...replica.seal());
    expect(deltas).toHaveLength(2);
    expect(deltas.map(({ nonces }) => nonces.length).reduce((a, b) => a + b)).toBe(5_000);
    expect(replica.journal()).toEqual([]);
  });

  test('[JS6] a journal that is folded again and again stays short, and each byte is rewritten a few times', () => {
    const replica = createReplica();
    let rewritten = 0;
    let longest = 0;
    for (let edit = 1; edit <= 30_000; edit++) {
      replica.write('d', 'abcdefgh');
      if (edit % 1_024 !== 0) continue;
      for (const folding of replica.fold())
        rewritten += folding?.replaced.reduce((sum, { payload }) => sum + payload.length, 0) ?? 0;
      longest = Math.max(longest, replica.journal().length);
    }
    expect(longest).toBeLessThan(12);
    expect(rewritten).toBeLessThan(30_000 * 8 * 6);
    const [delta, ...more] = replica.seal();
    expect(more).toEqual([]);
    expect(bodyOfDelta(delta as Delta).payload).toHaveLength(30_000 * 8);
    expect(replica.outbox()[0]?.writes).toBe(30_000);
  });

  test('[JS6] rows of any light weight are joined, whichever of them comes last', () => {
    const replica = createReplica();
    for (let edit = 0; edit < 1_024; edit++) replica.write('d', 'x'.repeat(1 + ((1_023 - edit) % 300)));
    replica.fold();
    expect(replica.journal()).toHaveLength(1);
    const [joined] = replica.journal();
    expect(joined?.payload.length).toBeGreaterThan(100_000);
    // What is heavy is not written again for little.
    for (let edit = 0; edit < 300; edit++) replica.write('d', 'x'.repeat(1 + ((299 - edit) % 300)));
    replica.fold();
    expect(replica.journal()).toHaveLength(2);
    expect(replica.journal()[0]).toEqual(joined);
    for (let edit = 0; edit < 300; edit++) replica.write('e', 'x');
    replica.write('e', 'x'.repeat(10_000));
    replica.fold();
    expect(replica.journal()).toHaveLength(3);
  });

  test('[JS6] one sealing and one folding look at a bounded number of bytes', () => {
    const replica = createReplica();
    for (let i = 0; i < 200; i++) replica.write(`d${i}`, 'x'.repeat(300_000));
    const sealed = replica.seal();
    expect(sealed.length).toBeGreaterThan(20);
    expect(sealed.length).toBeLessThan(150);
    while (replica.journal().length > 0) replica.seal();
    expect(replica.seq()).toBe(200);
  });
});
