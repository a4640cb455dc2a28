import { describe, expect, test } from 'vitest';
import { record, replicaOf, room, signStub } from '../../../../test/interop/fixture.js';
import { ContradictingStore, type Contradiction } from '../../../../test/support/contradicting-store.js';
import { recordPayloadToBytes } from '../body.js';
import { bytesToUtf8, utf8ToBytes } from '../bytes.js';
import { scrubAll } from '../store/healing-store.js';
import { MemoryStore } from '../store/memory-store.js';
import type { Plan, Read, ReadResult } from '../store/plan.js';
import type { Table } from '../store/table.js';
import { FAILED, readTolerantly, type TolerantSteps } from '../store/tolerant.js';
import { takeIdentity } from './identity.js';
import { appendToJournal, bytesToJournalRow } from './journal.js';
import { putWreckage, readWreckage, type Salvaged, takeWreckage } from './salvage.js';
import { dotKey } from './set-rows.js';
import { acknowledge, commitSeal, draftSeal } from './seal.js';

const me = replicaOf(0);
const heir = replicaOf(1);
const NOW = 1_000_000_000;
const EVERYTHING = { from: new Uint8Array() };

type Answer = (read: Read) => ReadResult | typeof FAILED;

function run<Result>(
  steps: TolerantSteps<Result>,
  answer: Answer,
): { readonly result: Result; readonly reads: number } {
  let reads = 0;
  let step = steps.next();
  for (; !step.done; reads++) step = steps.next(answer(step.value));
  return { result: step.value, reads };
}

describe('[JS12] reading what cannot be relied on', () => {
  const COUNT = 200;
  const key = (n: number): Uint8Array => Uint8Array.of(n);

  function filled(): ContradictingStore {
    const store = new ContradictingStore();
    for (let n = 0; n < COUNT; n++) store.tables.table('journal').put(key(n), Uint8Array.of(n, 1));
    return store;
  }

  const readAll = (answer: Answer) =>
    run(
      readTolerantly('journal', EVERYTHING, (_, row) => row[0] as number),
      answer,
    );
  const touches = (read: Read, n: number, store: ContradictingStore): boolean =>
    read.kind === 'get'
      ? read.key[0] === n
      : (store.tables.read({ ...read, kind: 'keys' }) as Uint8Array[]).some(([k]) => k === n);

  test.each(['unfound', 'unlisted', 'cut'] as const)('a row that is %s is among all others', (how) => {
    const store = filled();
    store.tables.spoil('journal', key(100), how);
    const { found, isWhole } = readAll((read) => store.tables.read(read)).result;
    const items = found.flatMap(({ item }) => item ?? []);
    // Nothing leads to what no range gives, as nobody knows its key.
    expect(items).toHaveLength(how === 'unlisted' ? COUNT - 1 : COUNT);
    expect(items).toEqual(items.toSorted((a, b) => a - b));
    expect(isWhole).toBe(true);
  });

  test('around what fails every row is read, from either side; of that row there is a trace where its key can be read', () => {
    const store = filled();
    const fails = (read: Read) => read.kind !== 'keys' && touches(read, 100, store);
    const { result, reads } = readAll((read) => (fails(read) ? FAILED : store.tables.read(read)));
    expect(result.found).toHaveLength(COUNT);
    expect(result.found.filter(({ item }) => item === undefined).map(({ key: [n] }) => n)).toEqual([100]);
    expect(result.isWhole).toBe(true);
    expect(reads, 'bounded').toBeLessThan(3 * COUNT);
  });

  test('where neither side comes to its end there may be more', () => {
    const store = filled();
    const fails = (read: Read) => touches(read, 100, store);
    const { result } = readAll((read) => (fails(read) ? FAILED : store.tables.read(read)));
    expect(result.found.flatMap(({ item }) => item ?? [])).toHaveLength(COUNT - 1);
    expect(result.isWhole).toBe(false);
  });

  test('whoever gives the same for ever, or nothing, is soon done with', () => {
    const same = readAll((read) =>
      read.kind === 'get' ? undefined : read.kind === 'keys' ? [key(3)] : [[key(3), key(3)]],
    );
    expect(same.reads).toBeLessThan(10);
    expect(readAll(() => FAILED)).toMatchObject({ result: { found: [], isWhole: false } });
  });
});

function createReplica() {
  const { tables } = new ContradictingStore();
  const transact = <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
  transact((tx) => takeIdentity(tx, room, me));
  const write = (id: string, text: string): void => {
    const payload = recordPayloadToBytes({ value: utf8ToBytes(text) });
    transact((tx) => appendToJournal(tx, room, [{ name: record(id), flags: 0, nonces: [], payload }], NOW));
  };
  const seal = (): readonly number[] => {
    const options = {
      ...{ replica: me, nowMs: NOW, deflate: (bytes: Uint8Array) => bytes },
      mergeUpdates: ([update]: readonly Uint8Array[]) => update as Uint8Array,
    };
    const drafts = transact((tx) => draftSeal(tx, room, options));
    const sealed = drafts.map(({ unsigned, rows }) => ({ delta: signStub(unsigned), rows }));
    expect(transact((tx) => commitSeal(tx, room, sealed, 0, NOW))).toBeDefined();
    return sealed.map(({ delta }) => delta.seq);
  };
  const sent = (seqs: readonly number[]): void => void transact((tx) => acknowledge(tx, room, me, seqs));
  const salvage = async (answer: Answer = (read) => tables.read(read)): Promise<Salvaged> => {
    const { result } = run(readWreckage(room, me), answer);
    const copy = new MemoryStore();
    await copy.transact((tx) => putWreckage(tx, result), { mode: 'write' });
    await scrubAll(copy, room);
    return copy.transact((tx) => takeWreckage(tx, room, result, heir), { mode: 'write' });
  };
  return { tables, write, seal, sent, salvage };
}

const valuesOf = ({ rows }: Salvaged): Record<string, string> =>
  Object.fromEntries(rows.map(({ name, payload }) => [name.id, bytesToUtf8(payload).slice(-1)]));

describe('[JS12] what is salvaged of a room', () => {
  /** `a` is sent; sealed and not sent are `b` and what replaces `a` and, twice, `c`; not sealed are `d` and what replaces `b`. */
  function create() {
    const replica = createReplica();
    replica.write('a', '0');
    replica.sent(replica.seal());
    for (const id of ['a', 'b', 'c']) replica.write(id, '1');
    replica.seal();
    replica.write('c', '2');
    replica.seal();
    replica.write('d', '1');
    replica.write('b', '2');
    return replica;
  }

  const ALL = { a: '1', b: '2', c: '2', d: '1' };

  test('journal and outbox, each write once, with what it had seen; what is sent is left', async () => {
    const salvaged = await create().salvage();
    expect(valuesOf(salvaged)).toEqual(ALL);
    expect(salvaged.rows).toHaveLength(4);
    expect(salvaged).toMatchObject({ lost: 0, isWhole: true });
    const [a] = salvaged.rows.filter(({ name }) => name.id === 'a');
    expect(a?.context.stamps.get(me), 'it replaces what the relay has').toBeGreaterThan(0);
  });

  const CASES: readonly (readonly [Table, Contradiction])[] = (
    ['journal', 'outbox', 'deltas', 'previous'] as const
  ).flatMap((table) => (['unfound', 'cut'] as const).map((how) => [table, how] as const));
  test.each(CASES)('a row of %s that is %s', async (table, how) => {
    const { tables, salvage } = create();
    const [spoiled] = tables.table(table).rows(EVERYTHING)[0] as readonly [Uint8Array, Uint8Array];
    tables.spoil(table, spoiled, how);
    const salvaged = await salvage();
    expect(valuesOf(salvaged)).toEqual(ALL);
    expect(salvaged.lost).toBe(0);
  });

  test('a row of the outbox that cannot be read leads to its delta all the same', async () => {
    const { tables, salvage } = create();
    for (const [key] of tables.table('outbox').rows(EVERYTHING)) tables.table('outbox').put(key, Uint8Array.of(1));
    expect(valuesOf(await salvage())).toEqual(ALL);
  });

  test('what cannot be read is counted, and what goes beside it is whole', async () => {
    const { tables, salvage } = create();
    const [row] = tables.table('journal').rows(EVERYTHING)[0] as readonly [Uint8Array, Uint8Array];
    const [gone] = run(readTolerantly('journal', EVERYTHING, bytesToJournalRow), (read) => tables.read(read)).result
      .found;
    tables.table('journal').put(row, Uint8Array.of(1, 2));
    tables.table('deltas').delete(tables.table('dots').get(dotKey({ replica: me, seq: 5 })) as Uint8Array);
    const salvaged = await salvage();
    const { c: _, ...others } = ALL;
    const was = gone?.item?.name.id === 'b' ? { b: '1' } : {};
    const { [gone?.item?.name.id as 'b' | 'd']: __, ...rest } = others;
    expect(valuesOf(salvaged)).toEqual({ ...rest, ...was });
    expect(salvaged).toMatchObject({ lost: 3, isWhole: true });
  });

  test('a row that an index still gives after it was sealed is no second write', async () => {
    const { tables, salvage, seal } = create();
    const before = tables.table('journal').rows(EVERYTHING);
    seal();
    for (const [key, value] of before) tables.table('journal').put(key, value);
    const { rows } = await salvage();
    expect(rows).toHaveLength(4);
  });
});
