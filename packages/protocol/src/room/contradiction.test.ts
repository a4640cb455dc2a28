import { describe, expect, test } from 'vitest';
import { ContradictingStore, type Contradiction } from '../../../../test/support/contradicting-store.js';
import { makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { utf8ToBytes } from '../bytes.js';
import { scrubAll } from '../store/healing-store.js';
import { settleContradictions } from './contradiction.js';
import { takeIdentity } from './identity.js';
import { readNumber } from './meta.js';
import { receiveDeltas } from './receive.js';

const EVERYTHING = { from: new Uint8Array() };
const own = replicaOf(0);
const COUNT = 300;
const HISTORY = Array.from({ length: COUNT }, (_, i) =>
  makeDelta({ replica: replicaOf(1), seq: i + 1, hlc: 10 * i + 5, name: record(`k${i}`) }),
);

async function storeOf(): Promise<ContradictingStore> {
  const store = new ContradictingStore();
  const arrivals = HISTORY.map((delta, i) => ({ delta, name: record(`k${i}`), fault: undefined }));
  await store.transact(
    function* (tx) {
      yield* takeIdentity(tx, room, own);
      yield* receiveDeltas(tx, room, arrivals, [], {
        nowMs: 1e12,
        cursor: undefined,
        replica: own,
        compare: () => undefined,
      });
    },
    { mode: 'write' },
  );
  return store;
}

const dump = (store: ContradictingStore) => store.tables.dump().filter((row) => !row.startsWith('meta'));

describe('[AE8] a store that gives by range what it does not give by key, or the other way round', () => {
  test.each(['unfound', 'unlisted', 'cut'] as const)(
    '%s: what is found is written anew, a page at a time',
    async (how) => {
      const store = await storeOf();
      const rows = store.tables.table('names').rows(EVERYTHING);
      const [key] = rows[100] as (typeof rows)[0];
      store.tables.spoil('names', key, how);
      const { result } = store.tables.transact((tx) => settleContradictions(tx, 'names', new Uint8Array(), 256));
      const isSeen = how !== 'unlisted';
      expect(result.contradicting > 0, 'what no range gives is named by others').toBe(isSeen);
      expect(store.tables.spoiled).toBe(isSeen ? 0 : 1);
    },
  );

  test.each<[Contradiction, 'deltas' | 'names' | 'dots' | 'nodes' | 'vector']>([
    ['unfound', 'deltas'],
    ['unlisted', 'deltas'],
    ['cut', 'deltas'],
    ['unfound', 'names'],
    ['unlisted', 'names'],
    ['cut', 'names'],
    ['unfound', 'dots'],
    ['cut', 'dots'],
    ['unfound', 'nodes'],
    ['unfound', 'vector'],
  ])('%s in %s: a scrub mends it, and nothing is fetched', async (how, table) => {
    const store = await storeOf();
    const before = dump(store);
    const rows = store.tables.table(table).rows(EVERYTHING);
    const [key] = rows[rows.length >> 1] as (typeof rows)[0];
    store.tables.spoil(table, key, how);
    const findings = await scrubAll(store, room);
    expect(findings.contradicting + findings.mended).toBeGreaterThan(0);
    expect(findings.unreadable).toBe(0);
    expect(store.tables.spoiled).toBe(0);
    expect(dump(store)).toEqual(before);
    expect(await scrubAll(store, room)).toMatchObject({ contradicting: 0, mended: 0, holes: 0 });
  });
});

test('[AE1] a replica that lost the name of a key has it again after a scrub, so that the record is listed; a relay lists nothing', async () => {
  const store = await storeOf();
  const names = store.tables.table('names');
  const before = dump(store);
  for (const [key] of names.rows(EVERYTHING).slice(0, 9)) names.delete(key);
  expect(await scrubAll(store, room)).toMatchObject({ mended: 9, holes: 0, contradicting: 0 });
  expect(dump(store)).toEqual(before);

  for (const [key] of names.rows(EVERYTHING)) names.delete(key);
  store.tables.table('meta').delete(utf8ToBytes('replica'));
  expect(await scrubAll(store, room)).toMatchObject({ mended: 0 });
  expect(names.size).toBe(0);
});

test('[AE2] a number that a disk has made larger than any is no number, and is not counted on from', async () => {
  const store = await storeOf();
  const row = utf8ToBytes('row');
  store.tables.table('meta').put(row, new Uint8Array(8).fill(254));
  expect(() => store.tables.transact((tx) => readNumber(tx, 'row'))).toThrow(
    expect.objectContaining({ code: 'INTERNAL' }),
  );
  expect(await scrubAll(store, room)).toMatchObject({ unreadable: 1 });
  expect(store.tables.transact((tx) => readNumber(tx, 'row')).result).toBe(0);
});
