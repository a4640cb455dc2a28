import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, dumpOf, makeDelta, record, replicaOf, room, sha256 } from '../../../../test/interop/fixture.js';
import { bytesToHex } from '../bytes.js';
import { bytesToDelta, type Delta, FLAG, hasContext, trieKeyOf } from '../delta.js';
import { idToBytes, type ReplicaId } from '../ids.js';
import { openDiff } from '../merkle/diff.js';
import { LEAF_ITEMS_MAX } from '../merkle/node.js';
import { buildTrie, readRoot } from '../merkle/trie.js';
import { HealingStore } from '../store/healing-store.js';
import { MemoryStore, type MemoryTables } from '../store/memory-store.js';
import type { Row } from '../store/plan.js';
import type { Table } from '../store/table.js';
import { acceptDeltas } from './accept.js';
import { readPutAside } from './aside.js';
import { dotKey } from './set-rows.js';
import { acceptAndLog, readPosition } from './log.js';
import {
  addFindings,
  ALL_PHASES,
  FIRST_PLACE,
  hasFound,
  NOTHING_FOUND,
  type ScrubFindings,
  type ScrubPlace,
  scrubStep,
} from './scrub.js';
import { ENTRY_BYTES } from './vector-entry.js';
import { readVectorRows } from './vector.js';

const [a, b] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const OPTIONS = { nowMs: 0, from: 'others', retain: () => false } as const;
const EVERYTHING = { from: new Uint8Array() };
const SET: readonly Table[] = ['deltas', 'contexts', 'nodes', 'dots'];
const BOUNDS = { rowsMax: 64, bytesMax: 1_000_000 };

/** Two writers: what adds, and now and then what replaces what the other one has just written. */
function makeHistory(count: number): readonly Delta[] {
  return Array.from({ length: count }, (_, i) => {
    const seq = (i >> 1) + 1;
    const context = i % 7 === 6 ? contextOf([[a, 10 * (i - 2)]]) : undefined;
    const replica = i % 2 === 0 ? a : b;
    return makeDelta({
      replica,
      seq,
      hlc: 10 * i + 5,
      name: record(`k${i % 23}`),
      ...(context === undefined ? {} : { context }),
    });
  });
}

const HISTORY = makeHistory(300);

async function storeOf(deltas: readonly Delta[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  await store.transact((tx) => acceptAndLog(tx, room, deltas, OPTIONS), { mode: 'write' });
  return store;
}

function scrub(tables: MemoryTables): ScrubFindings {
  let findings = NOTHING_FOUND;
  for (let place: ScrubPlace | undefined = FIRST_PLACE; place !== undefined; ) {
    const at: ScrubPlace = place;
    const { result } = tables.transact((tx) => scrubStep(tx, room, at, ALL_PHASES, BOUNDS));
    expect(result.findings.rows, 'one step is bounded').toBeLessThan(BOUNDS.rowsMax + 2 * 256 + HISTORY.length);
    findings = addFindings(findings, result.findings);
    place = result.next;
  }
  return findings;
}

const rowsOf = (tables: MemoryTables, table: Table) => tables.table(table).rows(EVERYTHING);

/** The index says exactly what the rows of `deltas` say. */
function expectTruth(tables: MemoryTables): void {
  const keys = rowsOf(tables, 'deltas').map(([key]) => key);
  expect(tables.transact(readRoot).result).toEqual({ root: buildTrie(sha256, keys).root, count: keys.length });
  const held = rowsOf(tables, 'deltas').map(([, row]) => bytesToDelta(sha256, room.roomId, row));
  expect(rowsOf(tables, 'contexts').length).toBe(new Set(held.filter(hasContext).map(({ keyId }) => keyId)).size);
  for (const delta of held) {
    const dot = tables.table('dots').get(dotKey(delta));
    expect(bytesToHex(dot as Uint8Array)).toContain(bytesToHex(trieKeyOf(delta)));
  }
}

const damage: fc.Arbitrary<Damage> = fc.record({
  table: fc.constantFrom(...SET, 'vector' as const),
  ratio: fc.constantFrom(0.01, 0.1, 0.5, 1),
  how: fc.constantFrom('delete' as const, 'spoil' as const, 'cut' as const),
  seed: fc.nat(),
});

interface Damage {
  readonly table: Table;
  readonly ratio: number;
  readonly how: 'delete' | 'spoil' | 'cut';
  readonly seed: number;
}

/** Of a delta all but its signature, which its id does not cover: a bad one is reported by whoever is sent it [SY10]. */
function harm(tables: MemoryTables, { table, ratio, how, seed }: Damage): void {
  for (const [i, [key, row]] of rowsOf(tables, table).entries()) {
    const draw = sha256(Uint8Array.of(i & 255, i >> 8, seed & 255, (seed >> 8) & 255));
    if ((draw[0] as number) / 256 >= ratio) continue;
    if (how === 'delete' || table === 'vector') tables.table(table).delete(key);
    else if (how === 'cut') tables.table(table).put(key, row.slice(0, row.length >> 1));
    else {
      const place = (draw[1] as number) % (row.length - (table === 'deltas' ? 64 : 0));
      tables.table(table).put(
        key,
        row.map((byte, at) => (at === place ? byte ^ 4 : byte)),
      );
    }
  }
}

describe('scrub', () => {
  test('[AE1] an intact store is left as it is, to the byte', async () => {
    const { tables } = await storeOf(HISTORY);
    const before = tables.dump();
    expect(hasFound(scrub(tables))).toBe(false);
    expect(tables.dump()).toEqual(before);
  });

  test('[AE1] [AE2] whatever rows are gone or spoiled, the index tells the truth afterwards, and what comes back is all there was', async () => {
    const whole = await storeOf(HISTORY);
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (list) => {
        const { tables } = await storeOf(HISTORY);
        for (const one of list) harm(tables, one);
        scrub(tables);
        expectTruth(tables);
        expect(hasFound(scrub(tables)), 'nothing is left to find').toBe(false);
        tables.transact((tx) => acceptDeltas(tx, room, HISTORY, OPTIONS));
        scrub(tables);
        const named: readonly Table[] = ['deltas', 'contexts', 'nodes'];
        expect(dumpOf(tables, named)).toEqual(dumpOf(whole.tables, named));
      }),
      { numRuns: 60 },
    );
  });

  test('[AE1] a tenth of the deltas gone at random is counted, to the last one', async () => {
    const { tables } = await storeOf(HISTORY);
    const keys = rowsOf(tables, 'deltas').map(([key]) => key);
    const lost = keys.filter((_, i) => i % 10 === 3);
    for (const key of lost) tables.table('deltas').delete(key);
    const { holes, unreadable } = scrub(tables);
    expect({ holes, unreadable }).toEqual({ holes: lost.length, unreadable: 0 });
  });

  test('[AE1] nodes that nothing leads to go, as do those that say something else', async () => {
    const { tables } = await storeOf(HISTORY);
    const before = tables.dump();
    const [, some] = rowsOf(tables, 'nodes').at(-1) as Row;
    tables.table('nodes').put(Uint8Array.of(3, 0x12, 0x30), some);
    tables.table('nodes').put(Uint8Array.of(9, 9), some);
    expect(scrub(tables)).toMatchObject({ holes: 0, unreadable: 0, mended: 2 });
    expect(tables.dump()).toEqual(before);
  });

  test('[AE2] rows of other tables that cannot be read go; what is not known of the end of the log comes from its last entry', async () => {
    const { tables } = await storeOf(HISTORY);
    const position = tables.transact(readPosition).result;
    const junk = Uint8Array.of(255, 255, 255);
    for (const table of ['journal', 'outbox', 'certificates', 'heads', 'quarantine', 'retained', 'trash'] as const)
      tables.table(table).put(new Uint8Array(24).fill(1), junk);
    const utf8 = new TextEncoder();
    tables.table('meta').put(utf8.encode('cursor'), junk);
    tables.table('meta').delete(utf8.encode('position'));
    expect(scrub(tables)).toMatchObject({ unreadable: 8, mended: 1 });
    expect(tables.transact(readPosition).result).toEqual(position);
    expect(hasFound(scrub(tables))).toBe(false);
    // Nobody else has what was written here and not sealed yet.
    expect(tables.transact(readPutAside).result).toEqual([[new Uint8Array(24).fill(1), junk]]);
  });

  test('[AE2] [CX2] what came while a context was lost goes when the context is known again', async () => {
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const second = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const { tables } = await storeOf([first, second]);
    const before = dumpOf(tables, SET);
    for (const [key] of rowsOf(tables, 'contexts')) tables.table('contexts').delete(key);
    tables.transact((tx) => acceptDeltas(tx, room, [first], OPTIONS));
    expect(rowsOf(tables, 'deltas')).toHaveLength(2);
    scrub(tables);
    expect(dumpOf(tables, SET)).toEqual(before);
  });

  test('[AE3] a lost delta that its author pushes again is taken back; the dot is not used twice', async () => {
    const { tables } = await storeOf(HISTORY);
    const lost = HISTORY.find((delta) => tables.table('deltas').get(trieKeyOf(delta)) !== undefined) as Delta;
    const vector = tables.transact(readVectorRows).result;
    tables.table('deltas').delete(trieKeyOf(lost));
    scrub(tables);
    const { result } = tables.transact((tx) => acceptDeltas(tx, room, [lost], { ...OPTIONS, from: 'author' }));
    expect(result.outcomes).toEqual(['added']);
    const { seq } = lost;
    const twin = makeDelta({ replica: lost.replica, seq, hlc: lost.hlc + 1, name: record('k1') });
    const again = tables.transact((tx) => acceptDeltas(tx, room, [twin], { ...OPTIONS, from: 'author' })).result;
    expect(again.outcomes).toEqual(['reused']);
    expect(tables.transact(readVectorRows).result).toEqual(vector);
  });

  const vectorOf = (tables: MemoryTables) => tables.transact(readVectorRows).result;
  const lose = (tables: MemoryTables, ...lost: readonly Delta[]) => {
    for (const delta of lost) tables.table('deltas').delete(trieKeyOf(delta));
    scrub(tables);
  };
  const take = (tables: MemoryTables, delta: Delta, from: 'author' | 'others') =>
    tables.transact((tx) => acceptDeltas(tx, room, [delta], { ...OPTIONS, from })).result.outcomes;

  test('[AE6] a vector claims nothing above what is lost, and all that it claimed when the last of it is back', async () => {
    const key = (seq: number) => record(`own ${seq}`);
    const covering = (seq: number) =>
      makeDelta({ replica: a, seq, hlc: seq, name: key(seq - 1), context: contextOf([[a, seq - 1]]) });
    const plain = [1, 2, 3, 4, 5].map((seq) => makeDelta({ replica: a, seq, hlc: seq, name: key(seq) }));
    // Above what will be lost, something that was covered, so that dots do not tell how far the entry reached.
    const history = [...plain, makeDelta({ replica: a, seq: 6, hlc: 6, name: key(6) }), covering(7)];
    const { tables } = await storeOf(history);
    expect(vectorOf(tables).get(a)).toBe(7);
    lose(tables, history[1] as Delta, history[3] as Delta);
    expect(vectorOf(tables).get(a)).toBe(1);
    take(tables, history[1] as Delta, 'others');
    expect(vectorOf(tables).get(a), 'not over the dot of what is still lost').toBe(3);
    take(tables, history[3] as Delta, 'others');
    expect(vectorOf(tables).get(a)).toBe(7);
    expect(tables.table('vector').get(idToBytes(a)), 'and no doubt is left').toHaveLength(ENTRY_BYTES);
  });

  test('[AE1] [FL10] a tombstone that is lost is named as one no longer, and one that is held is named again', async () => {
    const gone = makeDelta({ replica: a, seq: 1, hlc: 5, name: record('gone'), flags: FLAG.tombstone });
    const held = makeDelta({ replica: a, seq: 2, hlc: 6, name: record('held'), flags: FLAG.tombstone });
    const { tables } = await storeOf([gone, held]);
    const named = tables.table('tombstones');
    named.delete(trieKeyOf(held));
    lose(tables, gone);
    expect(rowsOf(tables, 'tombstones').map(([key]) => key)).toEqual([trieKeyOf(held)]);
    take(tables, gone, 'others');
    expect(named.size).toBe(2);
  });

  test('[AE6] [CX7] what only a lost delta had covered is taken again from its author, and no longer claimed until then', async () => {
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const second = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const { tables } = await storeOf([first, second]);
    lose(tables, second);
    expect(vectorOf(tables)).toEqual(new Map());
    expect(take(tables, first, 'author')).toEqual(['added']);
    expect(vectorOf(tables)).toEqual(new Map([[a, 1]]));
    expect(take(tables, second, 'others')).toEqual(['added']);
    expect(vectorOf(tables)).toEqual(
      new Map([
        [a, 1],
        [b, 1],
      ]),
    );
    expectTruth(tables);
    const { tables: other } = await storeOf([first, second]);
    lose(other, second);
    take(other, second, 'others');
    expect(vectorOf(other), 'though what is covered never came again').toEqual(vectorOf(tables));
  });
});

describe('a store that heals', () => {
  const heard: ScrubFindings[] = [];

  async function damaged(harmIt: (tables: MemoryTables) => void): Promise<HealingStore> {
    heard.length = 0;
    const store = await storeOf(HISTORY);
    harmIt(store.tables);
    const healing = new HealingStore(store, room);
    healing.listen((findings) => heard.push(findings));
    return healing;
  }

  const next = makeDelta({ replica: a, seq: 1_000, hlc: 99_999, name: record('k3') });

  test('[AE3] a plan that meets a hole under its own leaf runs after all, and the hole is counted', async () => {
    const store = await damaged((tables) => {
      for (const [key] of rowsOf(tables, 'deltas')) tables.table('deltas').delete(key);
    });
    const accepted = await store.transact((tx) => acceptDeltas(tx, room, [next], OPTIONS), { mode: 'write' });
    expect(accepted.count).toBe(1);
    expect(heard.map(({ holes }) => holes)).toEqual([(await storeOf(HISTORY)).tables.transact(readRoot).result.count]);
  });

  test('[AE3] what a peer is told of a leaf is what is there: a comparison finds the hole by itself', async () => {
    expect(HISTORY.length).toBeGreaterThan(LEAF_ITEMS_MAX);
    const store = await damaged((tables) => {
      const [first] = rowsOf(tables, 'deltas');
      tables.table('deltas').delete((first as Row)[0]);
    });
    await store.transact((tx) => openDiff(tx, sha256, new Uint8Array(8)), { mode: 'read' });
    expect(heard).toMatchObject([{ holes: 1 }]);
  });

  test('[AE3] rows that are no deltas are dropped when a plan stumbles over them, once for all that stumble together', async () => {
    const store = await damaged((tables) => {
      for (const [key] of rowsOf(tables, 'deltas')) tables.table('deltas').put(key, Uint8Array.of(1, 2, 3));
    });
    const context = contextOf([[a, 99_998]]);
    const over = HISTORY.map((_, i) =>
      makeDelta({ replica: b, seq: 2_000 + i, hlc: 99_999, name: record(`k${i % 23}`), context }),
    );
    const both = [over.slice(0, 9), over.slice(9, 18)].map((some) =>
      store.transact((tx) => acceptDeltas(tx, room, some, OPTIONS), { mode: 'write' }),
    );
    expect((await Promise.all(both)).flatMap(({ outcomes }) => outcomes)).toEqual(new Array(18).fill('added'));
    expect(heard.reduce((sum, { unreadable }) => sum + unreadable, 0)).toBeGreaterThan(0);
  });

  test('[AE3] what is no damage is thrown as it is', async () => {
    const store = await damaged(() => {});
    const failing = store.transact(
      function* () {
        throw new Error('a bug');
      },
      { mode: 'read' },
    );
    await expect(failing).rejects.toThrow('a bug');
    expect(heard).toEqual([]);
  });
});
