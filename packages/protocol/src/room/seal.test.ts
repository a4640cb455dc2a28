import { dropSettled } from './unsent.js';
import { describe, expect, test } from 'vitest';
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
import { bytesToBody, bytesToRecordPayload, recordPayloadToBytes } from '../body.js';
import { bytesToUtf8, concatBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { covers, EMPTY_CONTEXT } from '../context.js';
import { bytesToDelta, type Delta, FLAG } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { hlcFromMs, hlcToMs } from '../hlc.js';
import { idToBytes, type KeyName, type ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { MemoryTables } from '../store/memory-store.js';
import { acceptDeltas } from './accept.js';
import { appendToJournal, type Edit, type JournalRow, readJournal, readKeyState } from './journal.js';
import { readClock, readNumber, writeNumber } from './meta.js';
import {
  acknowledge,
  commitSeal,
  draftSeal,
  readOutbox,
  readOutboxEntries,
  type SealDraft,
  type SealedDraft,
} from './seal.js';

const [me, other] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const NOW = 1_000_000;
const EPOCH = 3;
const recordPayload = (text: string): Uint8Array => recordPayloadToBytes({ value: utf8ToBytes(text) });

/** A replica's store, with a stand-in for Yjs that joins texts. */
function createReplica(replica = me) {
  const tables = new MemoryTables();
  tables.transact(function* (tx) {
    writeNumber(tx, 'epoch', EPOCH);
  });
  const options = {
    replica,
    mergeUpdates: (updates: readonly Uint8Array[]) => concatBytes(...updates),
    deflate: (bytes: Uint8Array) => bytes,
  };
  const self = {
    tables,
    append: (edits: readonly Edit[], nowMs = NOW): readonly JournalRow[] =>
      tables.transact((tx) => appendToJournal(tx, room, edits, nowMs)).result,
    put: (id: string, text: string, nowMs = NOW) =>
      self.append([{ name: record(id), flags: 0, nonces: [], payload: recordPayload(text) }], nowMs),
    drop: (id: string) =>
      self.append([{ name: record(id), flags: FLAG.tombstone, nonces: [], payload: new Uint8Array() }]),
    write: (id: string, text: string, nonce = 1) =>
      self.append([{ name: document(id), flags: 0, nonces: [nonce], payload: utf8ToBytes(text) }]),
    draft: (nowMs = NOW): readonly SealDraft[] =>
      tables.transact((tx) => draftSeal(tx, room, { ...options, nowMs })).result,
    sign: (drafts: readonly SealDraft[] = self.draft()): SealedDraft[] =>
      drafts.map(({ unsigned, rows }) => ({ delta: signStub(unsigned), rows })),
    commit: (sealed: readonly SealedDraft[], epoch = EPOCH) =>
      tables.transact((tx) => commitSeal(tx, room, sealed, epoch, NOW)).result,
    seal: (): readonly Delta[] => {
      const sealed = self.sign();
      expect(self.commit(sealed)).toBeDefined();
      return sealed.map(({ delta }) => delta);
    },
    receive: (...deltas: Delta[]) =>
      tables.transact(function* (tx) {
        const clock = yield* readClock(tx);
        writeNumber(tx, 'clock', Math.max(clock, ...deltas.map(({ hlc }) => hlc)));
        return yield* acceptDeltas(tx, room, deltas, { nowMs: NOW, from: 'others', retain: () => false });
      }).result,
    journal: () => tables.transact((tx) => readJournal(tx)).result,
    state: (name: KeyName) => tables.transact((tx) => readKeyState(tx, room, keyIdOf(name))).result,
    outbox: (fromSeq = 0, limit = 100) => tables.transact((tx) => readOutbox(tx, room, replica, fromSeq, limit)).result,
    number: (name: 'seq' | 'clock' | 'row') => tables.transact((tx) => readNumber(tx, name)).result,
  };
  return self;
}

const recordOf = (delta: Delta): string => bytesToUtf8(bytesToRecordPayload(bytesToBody(delta.body).payload).value);
const textOf = (delta: Delta): string => bytesToUtf8(bytesToBody(delta.body).payload);

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
  return 'none';
}

describe('journal', () => {
  test('[JS1] a row reads back as it was written, under a name that can be listed', () => {
    const replica = createReplica();
    const rows = [
      ...replica.put('a', 'one'),
      ...replica.drop('a'),
      ...replica.append([
        { name: document('d'), flags: FLAG.import | FLAG.compressed, nonces: [7, 1], payload: utf8ToBytes('text') },
      ]),
    ];
    expect(rows.map(({ number }) => number)).toEqual([1, 2, 3]);
    const byNumber = [...replica.journal()].sort((x, y) => x.number - y.number);
    expect(byNumber).toEqual(rows);
    expect(replica.tables.table('names').size).toBe(2);
    expect(replica.state(record('a')).rows).toEqual(rows.slice(0, 2));
  });

  test('[JS1] row numbers and stamps rise over all keys, whatever the clock does', () => {
    const replica = createReplica();
    const rows = [replica.put('a', '1', 50), replica.put('b', '2', 40), replica.put('a', '3', 50)].flat();
    expect(rows.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(rows.map(({ writtenAt }) => writtenAt - hlcFromMs(50))).toEqual([0, 1, 2]);
    expect(replica.number('clock')).toBe(hlcFromMs(50) + 2);
  });

  test('[CX5] a row names what its writer holds of the key, for records only', () => {
    const replica = createReplica();
    replica.receive(
      makeDelta({ replica: other, seq: 1, hlc: 10 }),
      makeDelta({ replica: other, seq: 3, hlc: 30, prev: 20 }),
      makeDelta({ replica: other, seq: 4, hlc: 40, name: document('a') }),
    );
    const [row] = replica.put('a', 'mine');
    expect(row?.context).toEqual(contextOf([[other, 10]], [[other, 30]]));
    expect(replica.write('a', 'text')[0]?.context).toEqual(EMPTY_CONTEXT);
    expect(replica.put('b', 'elsewhere')[0]?.context).toEqual(EMPTY_CONTEXT);
  });

  test('[DL8] an edit that no delta can carry is refused before it is a row', () => {
    const replica = createReplica();
    const { bodyBytesMax } = defaultLimits;
    const edit = (bytes: number): Edit => ({
      name: document('d'),
      flags: 0,
      nonces: [],
      payload: new Uint8Array(bytes),
    });
    expect(codeOf(() => replica.append([edit(bodyBytesMax)]))).toBe('BODY_TOO_LARGE');
    expect(replica.journal()).toEqual([]);
    replica.append([edit(bodyBytesMax - 4)]);
    expect(replica.seal()[0]?.body).toHaveLength(bodyBytesMax);
  });
});

describe('seal', () => {
  test('[JS2] scenario: 50 writes of a record are one delta with the last value', () => {
    const replica = createReplica();
    for (let i = 1; i <= 50; i++) replica.put('a', `value ${i}`);
    const [delta, ...more] = replica.seal();
    expect(more).toEqual([]);
    expect(delta && recordOf(delta)).toBe('value 50');
    expect(replica.journal()).toEqual([]);
    expect(replica.state(record('a')).deltas.map(({ id }) => id)).toEqual([delta?.id]);
  });

  test('[JS2] the rows of a document are one delta with their updates merged, an empty context and their nonces', () => {
    const replica = createReplica();
    for (const [i, nonce] of [9, 3, 9].entries()) replica.write('d', `${i};`, nonce);
    replica.receive(makeDelta({ replica: other, seq: 1, hlc: 10, name: document('d') }));
    replica.write('d', '3;', 4);
    const [delta] = replica.seal();
    expect(delta).toMatchObject({ seq: 1, context: EMPTY_CONTEXT, nonces: [3, 4, 9], flags: 0 });
    expect(delta && textOf(delta)).toBe('0;1;2;3;');
    expect(replica.state(document('d')).deltas).toHaveLength(2);
  });

  test('[JS2][JS5] a second delta of a key names the first as prev and covers it', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    const [first] = replica.seal();
    replica.put('a', 'two');
    const [second] = replica.seal();
    expect(second).toMatchObject({ seq: 2, prev: first?.hlc, context: contextOf([[me, first?.hlc as number]]) });
    expect(replica.state(record('a')).deltas.map(({ id }) => id)).toEqual([second?.id]);
    replica.write('d', 'x');
    replica.seal();
    replica.write('d', 'y');
    const [, next] = [undefined, replica.seal()[0]];
    expect(next?.prev).toBeGreaterThan(0);
    expect(next?.context).toEqual(EMPTY_CONTEXT);
  });

  test('[JS2] a row that was written before its forerunner was sealed still replaces it', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    const sealed = replica.sign();
    // Written while the first is being signed: its context knows nothing of the delta that the first becomes.
    replica.put('a', 'two');
    expect(replica.commit(sealed)).toBeDefined();
    const [second] = replica.seal();
    expect(second && recordOf(second)).toBe('two');
    expect(replica.state(record('a')).deltas.map(({ id }) => id)).toEqual([second?.id]);
  });

  test('[CX5] scenario 3: a remote write that arrives between put and seal ends as a sibling', () => {
    const replica = createReplica();
    const v1 = makeDelta({ replica: other, seq: 1, hlc: 10, text: 'v1' });
    const v2 = makeDelta({ replica: other, seq: 2, hlc: 20, prev: 10, context: contextOf([[other, 10]]), text: 'v2' });
    replica.receive(v1);
    replica.put('a', 'mine over v1');
    replica.receive(v2);
    const [mine] = replica.seal();
    expect(mine?.context).toEqual(contextOf([[other, 10]]));
    const ids = replica.state(record('a')).deltas.map(({ id }) => id);
    expect(ids.sort()).toEqual([v2.id, mine?.id].sort());
  });

  test('[JS2] the contexts of the rows are joined: what any of them saw is replaced', () => {
    const replica = createReplica();
    replica.put('a', 'before');
    replica.receive(makeDelta({ replica: other, seq: 1, hlc: 10 }));
    replica.put('a', 'after');
    const [delta] = replica.seal();
    expect(delta?.context).toEqual(contextOf([[other, 10]]));
    expect(replica.state(record('a')).deltas.map(({ id }) => id)).toEqual([delta?.id]);
  });

  test('[JS2] what an earlier row saw is replaced, though what came meanwhile has forgotten it', () => {
    const replica = createReplica();
    const [x, y, z] = [replicaOf(1), replicaOf(2), replicaOf(3)] as [ReplicaId, ReplicaId, ReplicaId];
    const first = makeDelta({ replica: x, seq: 1, hlc: 10 });
    replica.receive(first);
    replica.put('a', 'over the first');
    // The last of the three is forged: it covers what covered the first, and not the first.
    replica.receive(makeDelta({ replica: y, seq: 1, hlc: 20, context: contextOf([[x, 10]]) }));
    replica.receive(makeDelta({ replica: z, seq: 1, hlc: 30, context: contextOf([[y, 20]]) }));
    replica.put('a', 'over the last');
    const [delta] = replica.seal();
    replica.receive(first);
    expect(replica.state(record('a')).deltas.map(({ id }) => id)).toEqual([delta?.id]);
  });

  test('[DL5] a delete is a tombstone without payload, and a write after it is none', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    replica.drop('a');
    replica.drop('b');
    replica.put('b', 'back');
    const byName = new Map(replica.seal().map((delta) => [bytesToBody(delta.body).name.id, delta]));
    expect(byName.get('a')?.flags).toBe(FLAG.tombstone);
    expect(bytesToBody((byName.get('a') as Delta).body).payload).toEqual(new Uint8Array());
    expect(byName.get('b')?.flags).toBe(0);
  });

  test('[JS1][JS2][JS5] rows of other flags are sealed apart, in the order of the rows', () => {
    const replica = createReplica();
    const put = (text: string, flags: number) =>
      replica.append([{ name: record('a'), flags, nonces: [], payload: recordPayload(text) }]);
    put('1', FLAG.import);
    put('2', 0);
    put('3', FLAG.import);
    const deltas = replica.seal();
    expect(deltas.map((delta) => [recordOf(delta), delta.flags, delta.seq])).toEqual([
      ['1', FLAG.import, 1],
      ['2', 0, 2],
      ['3', FLAG.import, 3],
    ]);
    expect(deltas.map(({ prev }) => prev)).toEqual([0, deltas[0]?.hlc, deltas[1]?.hlc]);
    expect(replica.state(record('a')).deltas.map(({ id }) => id)).toEqual([deltas[2]?.id]);
  });

  test('[DL8] large updates of a document are joined only as far as they fit', () => {
    const replica = createReplica();
    const sizes = [3, 2, 7, 1, 2].map((size) => size * 1024 * 1024);
    for (const size of sizes)
      replica.append([{ name: document('d'), flags: 0, nonces: [], payload: new Uint8Array(size) }]);
    const deltas = replica.seal();
    expect(deltas.map(({ body }) => Math.floor(body.length / 1024 / 1024))).toEqual([3, 2, 7, 3]);
    expect(replica.journal()).toEqual([]);
  });

  test('[DL6] seq counts up by one and stamps rise over all keys', () => {
    const replica = createReplica();
    for (const id of ['a', 'b', 'c']) replica.put(id, id);
    const first = replica.seal();
    replica.put('a', 'again');
    const all = [...first, ...replica.seal()];
    expect(all.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    for (const [i, delta] of all.entries()) if (i > 0) expect(delta.hlc).toBeGreaterThan(all[i - 1]?.hlc as number);
    for (const { hlc, writtenAt } of all) expect(writtenAt).toBeLessThan(hlc);
  });

  test('[DL7] what is sealed lies above everything that was received, and decodes', () => {
    const replica = createReplica();
    const ahead = hlcFromMs(NOW + 200_000) + 5;
    replica.receive(makeDelta({ replica: other, seq: 1, hlc: ahead }));
    replica.put('a', 'mine');
    const [delta] = replica.seal();
    expect(delta?.hlc).toBeGreaterThan(ahead);
    expect(bytesToDelta(room.hash, room.roomId, (delta as Delta).bytes).context).toEqual(contextOf([[other, ahead]]));
  });

  test('[HLC4] scenario 23: with a clock too far ahead nothing is sealed, and nothing is lost', () => {
    const replica = createReplica();
    replica.put('a', 'written in 2099', NOW + 10 * defaultLimits.clockAheadMsMax);
    const before = replica.tables.dump();
    expect(codeOf(() => replica.draft(NOW))).toBe('CLOCK_AHEAD');
    expect(replica.tables.dump()).toEqual(before);
    expect(replica.draft(NOW + 10 * defaultLimits.clockAheadMsMax)).toHaveLength(1);
  });

  test('[JS3] scenario 22: rows that arrive while signing survive, and only those that were read are deleted', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    replica.write('d', 'x');
    const sealed = replica.sign();
    const [late] = replica.put('a', 'two');
    const [lateText] = replica.write('d', 'y');
    const [fresh] = replica.put('z', 'three');
    replica.commit(sealed);
    const left = [...replica.journal()].sort((x, y) => x.number - y.number);
    expect(left).toEqual([late, lateText, fresh]);
  });

  test('[JS3] scenario 21: when the epoch has moved, nothing is written', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    const sealed = replica.sign();
    replica.tables.transact(function* (tx) {
      writeNumber(tx, 'epoch', EPOCH + 1);
    });
    const before = replica.tables.dump();
    expect(replica.commit(sealed)).toBeUndefined();
    expect(replica.tables.dump()).toEqual(before);
    expect(replica.commit(replica.sign(), EPOCH + 1)).toBeDefined();
  });

  test('[JS3] when the next seq has moved, or a row is gone, nothing is written', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    replica.put('b', 'two');
    const sealed = replica.sign();
    const twice = replica.sign();
    expect(replica.commit(sealed)).toBeDefined();
    let before = replica.tables.dump();
    expect(replica.commit(twice)).toBeUndefined();
    expect(replica.tables.dump()).toEqual(before);

    replica.put('c', 'three');
    replica.put('e', 'four');
    const stale = replica.sign();
    const [row] = replica.journal() as [JournalRow];
    replica.tables.transact(function* (tx) {
      tx.delete('journal', concatBytes(idToBytes(row.keyId), u64ToBytes(row.number)));
    });
    before = replica.tables.dump();
    expect(replica.commit(stale)).toBeUndefined();
    expect(replica.tables.dump()).toEqual(before);
  });

  test('[JS3] when the next seq has moved while its rows are still there, nothing is written', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    replica.put('b', 'two');
    const sealed = replica.sign();
    let before = replica.tables.dump();
    expect(replica.commit(sealed.slice(1))).toBeUndefined();
    expect(replica.tables.dump()).toEqual(before);
    replica.tables.transact(function* (tx) {
      writeNumber(tx, 'seq', 5);
    });
    before = replica.tables.dump();
    expect(replica.commit(sealed)).toBeUndefined();
    expect(replica.tables.dump()).toEqual(before);
    expect(replica.seal().map(({ seq }) => seq)).toEqual([6, 7]);
  });

  test('[JS3] nothing to seal is no delta and no change', () => {
    const replica = createReplica();
    const before = replica.tables.dump();
    expect([replica.draft(), replica.commit([])]).toEqual([[], undefined]);
    expect(replica.tables.dump()).toEqual(before);
  });

  test('[CX3] scenario 1: a context that comes while signing and reaches over the draft takes nothing', () => {
    const replica = createReplica();
    replica.put('a', 'mine');
    const sealed = replica.sign();
    const reach = (sealed[0]?.delta.hlc as number) + 10;
    const forged = makeDelta({ replica: other, seq: 1, hlc: reach + 1, context: contextOf([[me, reach]]) });
    replica.receive(forged);
    const before = replica.tables.dump();
    expect(replica.commit(sealed)).toBeUndefined();
    expect(replica.tables.dump()).toEqual(before);
    const [mine] = replica.seal();
    expect(mine && recordOf(mine)).toBe('mine');
    expect(
      replica
        .state(record('a'))
        .deltas.map(({ id }) => id)
        .sort(),
    ).toEqual([mine?.id, forged.id].sort());
  });

  test('[JS5] prev skips what does not stand', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    const [first] = replica.seal();
    replica.put('a', 'refused');
    replica.seal();
    // A refused delta does not stand: whoever withdraws it puts back what stood before.
    replica.tables.transact(function* (tx) {
      tx.put('previous', idToBytes(keyIdOf(record('a'))), u64ToBytes(first?.hlc as number));
    });
    replica.put('a', 'three');
    expect(replica.seal()[0]?.prev).toBe(first?.hlc);
  });

  test('[CX4][JS2] what the own delta before had seen is taken along: the disk lost it before the write that follows', () => {
    const replica = createReplica();
    const theirs = makeDelta({ replica: other, seq: 1, hlc: hlcFromMs(NOW - 10), name: record('a') });
    replica.receive(theirs);
    replica.put('a', 'one');
    const first = replica.sign();
    for (const name of ['deltas', 'dots', 'nodes'] as const) {
      const table = replica.tables.table(name);
      for (const [key] of table.rows({ from: new Uint8Array() })) table.delete(key);
    }
    replica.put('a', 'two');
    replica.commit(first);
    const [second] = replica.seal();
    expect(covers(second?.context ?? EMPTY_CONTEXT, theirs), 'or it would be back, once somebody sends it').toBe(true);
  });

  test('[CX4][JS5] prev is kept by key', () => {
    const replica = createReplica();
    replica.put('a', '1');
    replica.put('b', '1');
    const first = replica.seal();
    replica.put('a', '2');
    replica.put('b', '2');
    const second = replica.seal();
    for (const delta of second) expect(delta.prev).toBe(first.find(({ keyId }) => keyId === delta.keyId)?.hlc);
  });
});

describe('outbox', () => {
  test('[SY6] it holds what was sealed, in the order of seq, until it is acknowledged', () => {
    const replica = createReplica();
    for (const id of ['a', 'b', 'c', 'd']) replica.put(id, id);
    const deltas = replica.seal();
    expect(replica.outbox()).toEqual(deltas);
    expect(replica.outbox(2, 2).map(({ seq }) => seq)).toEqual([2, 3]);
    replica.tables.transact((tx) => acknowledge(tx, room, me, [1, 3, 99]));
    expect(replica.outbox().map(({ seq }) => seq)).toEqual([2, 4]);
  });

  test('[SY6] an entry tells writes, bytes and the age of the oldest', () => {
    const replica = createReplica();
    replica.put('a', 'one', NOW - 500);
    replica.put('a', 'two');
    const [delta] = replica.seal();
    expect(replica.tables.transact(readOutboxEntries).result).toEqual([
      { seq: 1, writes: 2, bytes: delta?.body.length, oldestAtMs: NOW - 500 },
    ]);
    expect(hlcToMs(delta?.writtenAt as never)).toBe(NOW);
  });

  test('[SY6] what was superseded before it was sent is settled', () => {
    const replica = createReplica();
    replica.put('a', 'one');
    replica.seal();
    replica.put('a', 'two');
    const [second] = replica.seal();
    expect(replica.outbox()).toEqual([second]);
    expect(replica.tables.transact((tx) => dropSettled(tx, room, me)).result, 'the second waits').toEqual([]);
    replica.tables.transact((tx) => acknowledge(tx, room, me, [2]));
    expect(replica.tables.transact((tx) => dropSettled(tx, room, me)).result).toEqual([1]);
  });
});
