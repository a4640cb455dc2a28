import {
  defaultLimits,
  type Edit,
  type JournalRow,
  MangroveError,
  MemoryStore,
  type Plan,
  readJournal,
  type ReplicaId,
  type Store,
  type TransactOptions,
} from '@mangrove/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { roomRef } from '../../../../test/support/client-world.js';
import { type Barrier, JournalWriter } from './journal-writer.js';
import { Unkept } from './unkept.js';

const REPLICA = '00000000000000aa' as ReplicaId;

/** A store whose transactions wait until they are let through, and fail when told to. */
class GatedStore implements Store {
  readonly inner = new MemoryStore();
  readonly options: TransactOptions[] = [];
  failure: Error | undefined;
  #gates: (() => void)[] = [];
  isOpen = true;
  /** Takes no write, as Chromium does over the quota. */
  isFull = false;

  async transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    this.options.push(options);
    if (!this.isOpen) await new Promise<void>((resolve) => this.#gates.push(resolve));
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    if (this.isFull && options.mode === 'write') throw new MangroveError('STORAGE_FULL');
    return this.inner.transact(plan, options);
  }

  release(): void {
    for (const gate of this.#gates.splice(0)) gate();
  }

  async close(): Promise<void> {}
}

const NONE: Barrier = { follows: () => false, passed: async () => false };

function open(barrier = NONE) {
  const store = new GatedStore();
  const told: number[][] = [];
  const unkept = new Unkept(1);
  const toldUnkept: number[] = [];
  const clock = { nowMs: 1_000 };
  const host = {
    nowMs: () => clock.nowMs,
    journaled: (rows: readonly JournalRow[]) => told.push(rows.map(({ number }) => number)),
    unkept: (rows: readonly JournalRow[]) => toldUnkept.push(rows.length),
  };
  const writer = new JournalWriter(store, roomRef(), REPLICA, unkept, host, barrier);
  const journal = (): Promise<number[]> =>
    store.inner
      .transact((tx) => readJournal(tx), { mode: 'read' })
      .then((rows) => rows.map(({ number }) => number).sort((a, b) => a - b));
  return { store, told, toldUnkept, unkept, clock, writer, journal };
}

const edit = (id: string, bytes = 1): Edit => ({
  name: { kind: 'record', collection: 'c', id },
  flags: 0,
  nonces: [],
  payload: new Uint8Array(bytes),
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const codes = async (writes: readonly Promise<unknown>[]): Promise<unknown[]> =>
  (await Promise.allSettled(writes)).map((result) =>
    result.status === 'fulfilled' ? 'ok' : ((result.reason as MangroveError).code ?? result.reason.message),
  );

test('[JS1] what comes while a transaction is under way goes into the next one together, behind a strict barrier', async () => {
  const { store, told, writer } = open();
  store.isOpen = false;
  const writes = [writer.append(edit('a')), writer.append(edit('b')), writer.append(edit('c'))];
  await turn();
  expect(store.options).toHaveLength(1);
  store.release();
  await turn();
  store.release();
  expect((await Promise.all(writes)).map(({ rows }) => rows[0]?.number)).toEqual([1, 2, 3]);
  expect(told).toEqual([[1], [2, 3]]);
  expect(store.options).toEqual(Array(2).fill({ mode: 'write', durability: 'strict' }));
});

test('[JS1] a row is told before its writer knows of it', async () => {
  const { told, writer } = open();
  const { rows } = await writer.append(edit('a'));
  expect(told).toEqual([[rows[0]?.number]]);
});

test('[JS1] one write after the other: none is left lying between two groups', async () => {
  const { writer, journal } = open();
  for (let i = 0; i < 20; i++) await writer.append(edit(`${i}`));
  // Asked for in the very moment in which the one before is done.
  await writer.append(edit('x')).then(() => writer.append(edit('y')).then(() => writer.append(edit('z'))));
  await writer.idle();
  expect(await journal()).toHaveLength(23);
});

test('[JS1] a failing transaction rejects its own writers and later ones go on', async () => {
  const { store, writer, journal } = open();
  store.isOpen = false;
  const first = writer.append(edit('a'));
  const second = [writer.append(edit('b')), writer.append(edit('c'))];
  await turn();
  store.release();
  await first;
  await turn();
  store.failure = new MangroveError('STORAGE_UNAVAILABLE', { reason: 'a test' });
  const third = writer.append(edit('d'));
  await turn();
  store.isOpen = true;
  store.release();
  expect(await codes([first, ...second, third])).toEqual(['ok', 'STORAGE_UNAVAILABLE', 'STORAGE_UNAVAILABLE', 'ok']);
  expect(await journal()).toEqual([1, 2]);
});

test('[JS1] an edit that no delta can carry rejects alone', async () => {
  const { store, told, writer, journal } = open();
  store.isOpen = false;
  const first = writer.append(edit('a'));
  const others = [
    writer.append(edit('b')),
    writer.append(edit('c', defaultLimits.bodyBytesMax)),
    writer.append(edit('d')),
  ];
  await turn();
  store.isOpen = true;
  store.release();
  expect(await codes([first, ...others])).toEqual(['ok', 'ok', 'BODY_TOO_LARGE', 'ok']);
  expect(await journal()).toEqual([1, 2, 3]);
  expect(told).toEqual([[1], [2], [3]]);
});

test('[JS1] idle waits for what was appended before, also when it fails', async () => {
  const { store, writer } = open();
  store.isOpen = false;
  const write = writer.append(edit('a')).catch(() => 'failed');
  const idle = writer.idle().then(() => 'idle');
  await turn();
  store.failure = new Error('broken');
  store.isOpen = true;
  store.release();
  expect(await Promise.all([write, idle])).toEqual(['failed', 'idle']);
});

test('[JS1] a row that is sealed at once is on disk with its seal, and costs no barrier of its own', async () => {
  let seal = (_isSealed: boolean): void => {};
  const passed = vi.fn(() => new Promise<boolean>((resolve) => (seal = resolve)));
  const { store, told, writer } = open({ follows: () => true, passed });
  let isDone = false;
  const write = writer.append(edit('a')).then(() => (isDone = true));
  await turn();
  expect(told, 'it is shown and can be sealed').toEqual([[1]]);
  expect(passed).toHaveBeenCalledWith(1);
  expect(isDone, 'it is not on disk yet').toBe(false);
  seal(true);
  await write;
  expect(store.options).toEqual([{ mode: 'write', durability: 'relaxed' }]);
});

test('[JS1] a row whose seal does not come gets a barrier of its own, and fails with it', async () => {
  const { store, writer } = open({ follows: () => true, passed: async () => false });
  await writer.append(edit('a'));
  expect(store.options.map(({ durability }) => durability)).toEqual(['relaxed', 'strict']);
  store.isOpen = false;
  const write = writer.append(edit('b'));
  await turn();
  store.release();
  await turn();
  store.failure = new MangroveError('STORAGE_UNAVAILABLE', { reason: 'a test' });
  store.release();
  expect(await codes([write])).toEqual(['STORAGE_UNAVAILABLE']);
});

describe('[JS7] a disk that is full', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const pass = async (clock: { nowMs: number }, ms: number): Promise<void> => {
    clock.nowMs += ms;
    vi.advanceTimersByTime(ms);
    for (let i = 0; i < 20; i++) await turn();
  };

  test('a write is applied, shown, and on disk within a second after there is room', async () => {
    const { store, told, unkept, writer, journal, clock } = open();
    await writer.append(edit('a'));
    store.isFull = true;
    const { rows, isKept } = await writer.append(edit('b'));
    expect(isKept).toBe(false);
    expect(unkept.ownRows()).toEqual(rows);
    expect(await unkept.over(store).transact((tx) => readJournal(tx), { mode: 'read' })).toHaveLength(2);
    expect(await journal()).toEqual([1]);
    let isOnDisk = false;
    void writer.idle().then(() => (isOnDisk = true));
    await writer.applied();
    await pass(clock, 60_000);
    expect(isOnDisk).toBe(false);
    store.isFull = false;
    await pass(clock, 1_000);
    expect(isOnDisk).toBe(true);
    expect(await journal()).toEqual([1, 2]);
    expect(told).toEqual([[1], [2]]);
    expect(unkept.isEmpty).toBe(true);
  });

  test('what is written while there is room again stands after what was written before', async () => {
    const { store, writer, journal, unkept, clock } = open();
    store.isFull = true;
    for (const id of ['a', 'b', 'c']) await writer.append(edit(id));
    store.isFull = false;
    clock.nowMs += 150;
    const { rows, isKept } = await writer.append(edit('d'));
    expect([rows[0]?.number, isKept]).toEqual([4, true]);
    expect(await journal()).toEqual([1, 2, 3, 4]);
    expect(unkept.isEmpty).toBe(true);
  });

  test('each write tries again, and the disk is not asked more than ten times a second', async () => {
    const { store, writer, clock } = open();
    store.isFull = true;
    await writer.append(edit('first'));
    const tries = () => store.options.filter(({ mode }) => mode === 'write').length;
    const before = tries();
    for (let i = 0; i < 100; i++) {
      clock.nowMs += 10;
      await writer.append(edit(`${i}`));
    }
    expect(tries() - before).toBeGreaterThanOrEqual(8);
    expect(tries() - before).toBeLessThanOrEqual(11);
    const quiet = tries();
    for (let i = 0; i < 100; i++) await pass(clock, 100);
    expect(tries() - quiet, 'ten seconds without a write').toBeLessThanOrEqual(13);
  });

  test('no more is held than a tab can bear', async () => {
    const { store, writer } = open();
    store.isFull = true;
    const size = 5 * 1024 * 1024;
    const writes = ['a', 'b', 'c', 'd'].map((id) => writer.append(edit(id, size)));
    expect((await codes(writes)).filter((code) => code === 'STORAGE_FULL').length).toBeGreaterThan(0);
    expect(await codes([writer.append(edit('small'))])).toEqual(['ok']);
  });

  test('a row whose barrier finds no room is on disk when there is some', async () => {
    const { store, writer, clock } = open({ follows: () => true, passed: async () => false });
    store.isOpen = false;
    const write = writer.append(edit('a'));
    await turn();
    store.release();
    await turn();
    store.isFull = true;
    store.release();
    expect(await write).toMatchObject({ isKept: false, rows: [{ number: 1 }] });
    let isOnDisk = false;
    void writer.idle().then(() => (isOnDisk = true));
    store.isOpen = true;
    await pass(clock, 1_000);
    expect(isOnDisk).toBe(false);
    store.isFull = false;
    await pass(clock, 1_000);
    expect(isOnDisk).toBe(true);
  });

  test('closing tries once more, and ends', async () => {
    const { store, writer, unkept } = open();
    store.isFull = true;
    await writer.append(edit('a'));
    await writer.stop();
    expect(unkept.ownWrites).toBe(1);
    store.isFull = false;
    await writer.stop();
    expect(unkept.ownWrites).toBe(0);
  });

  test('a lost database is asked no more', async () => {
    const { store, writer, clock } = open();
    store.isFull = true;
    await writer.append(edit('a'));
    store.isFull = false;
    const lost = new MangroveError('STORAGE_UNAVAILABLE', { reason: 'a test' });
    store.failure = lost;
    await pass(clock, 1_000);
    const asked = store.options.length;
    await pass(clock, 60_000);
    expect(store.options).toHaveLength(asked);
  });
});
