import { MangroveError, MemoryStore, type Plan, type Store, type TransactOptions } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { document, keyIdOf, room } from '../../../../test/interop/fixture.js';
import { appendToJournal } from '../../../protocol/src/room/journal.js';
import { DocumentReader } from './document-reader.js';

const payloadOf = (n: number): Uint8Array => Uint8Array.of(n & 255, n >>> 8);

/** A store with so many documents, of which those in `damaged` cannot be read, and how many transactions it was asked for. */
async function createRoom(count: number, damaged: readonly number[] = []) {
  const store = new MemoryStore();
  const edits = Array.from({ length: count }, (_, n) => ({
    ...{ name: document(`d${n}`), flags: 0, nonces: [1], payload: payloadOf(n) },
  }));
  await store.transact((tx) => appendToJournal(tx, room, edits, 1_000_000), { mode: 'write' });
  const journal = store.tables.table('journal');
  for (const n of damaged)
    for (const [key] of journal.rows({ from: new Uint8Array() }))
      if (Buffer.from(key.slice(0, 16)).toString('hex') === keyIdOf(document(`d${n}`)))
        journal.put(key, Uint8Array.of(9));
  let transactions = 0;
  const counting: Store = {
    transact: <Result>(plan: Plan<Result>, options: TransactOptions) => {
      transactions++;
      return store.transact(plan, options);
    },
    close: () => store.close(),
  };
  const reader = new DocumentReader(counting, room);
  return { transactions: () => transactions, read: (n: number) => reader.read(keyIdOf(document(`d${n}`))) };
}

test('[API] a thousand documents that are opened at once are read in a few transactions', async () => {
  const { read, transactions } = await createRoom(1_000);
  const opened = await Promise.all(Array.from({ length: 1_000 }, (_, n) => read(n)));
  for (const [n, updates] of opened.entries()) expect(updates).toEqual([payloadOf(n)]);
  expect(transactions()).toBeLessThan(20);
  expect(await read(7), 'and one alone in one').toEqual([payloadOf(7)]);
  expect(transactions()).toBeLessThan(21);
});

test('[AE2] one that cannot be read keeps no other shut', async () => {
  const { read } = await createRoom(40, [3, 17]);
  const opened = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => read(n)));
  for (const [n, one] of opened.entries()) {
    if (n !== 3 && n !== 17) expect(one).toMatchObject({ status: 'fulfilled', value: [payloadOf(n)] });
    else expect(one).toMatchObject({ status: 'rejected', reason: expect.any(MangroveError) });
  }
});
