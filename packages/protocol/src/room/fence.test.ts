import { describe, expect, test } from 'vitest';
import { hlcFromMs } from '../hlc.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Steps, Transaction } from '../store/plan.js';
import { claimSteal, EpochPassed, fenced, nextEpoch } from './fence.js';
import { readClock, writeNumber } from './meta.js';

const stamp = hlcFromMs(7);

describe('the fence of an owner', () => {
  test('[JS3] each owner of a replica gets an epoch of its own', () => {
    const tables = new MemoryTables();
    expect([1, 2, 3].map(() => tables.transact(nextEpoch).result)).toEqual([1, 2, 3]);
    tables.transact(setClock);
    expect(tables.transact(nextEpoch).result).toBe(4);
  });

  test('[JS9] under its own epoch a plan reads, writes and answers as it does by itself', () => {
    const tables = new MemoryTables();
    const epoch = tables.transact(nextEpoch).result;
    expect(tables.transact(fenced(readThenSet, epoch)).result).toBe(0);
    expect(tables.transact(fenced(readThenSet, epoch)).result).toBe(stamp);
  });

  test('[JS9] when another owner has come, older or newer, nothing is written', () => {
    const tables = new MemoryTables();
    const epoch = tables.transact(nextEpoch).result;
    for (const other of [epoch - 1, epoch + 1]) {
      expect(() => tables.transact(fenced(setClock, other))).toThrow(EpochPassed);
      expect(() => tables.transact(fenced(readThenSet, other))).toThrow(EpochPassed);
    }
    expect(tables.transact(readClock).result).toBe(0);
  });

  test('[JS9] the epoch is read in the same step as what the plan reads first', () => {
    const tx = { get: getInOneStep } as unknown as Transaction;
    const steps = fenced(readClock, 1)(tx);
    expect(steps.next().value).toHaveLength(2);
  });
});

function* setClock(tx: Transaction): Steps<void> {
  writeNumber(tx, 'clock', stamp);
}

function* readThenSet(tx: Transaction): Steps<number> {
  const before = yield* readClock(tx);
  writeNumber(tx, 'clock', stamp);
  return before;
}

function* getInOneStep(): Steps<Uint8Array | undefined> {
  const [value] = yield [{ kind: 'get', table: 'meta', key: new Uint8Array() }];
  return value as Uint8Array | undefined;
}

test('[JS10] the replica is taken by force at most once a minute, by the word of the store', () => {
  const tables = new MemoryTables();
  const claim = (nowMs: number): boolean => tables.transact((tx) => claimSteal(tx, nowMs)).result;
  const hour = 3_600_000;
  expect([hour, hour, hour + 59_999].map(claim)).toEqual([true, false, false]);
  expect([hour + 60_000, hour + 60_001].map(claim)).toEqual([true, false]);
  // A clock that was set back to before the last time.
  expect([hour, hour + 1].map(claim)).toEqual([true, false]);
});
