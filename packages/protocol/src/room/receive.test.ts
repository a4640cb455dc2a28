import { describe, expect, test } from 'vitest';
import { contextOf, keyIdOf, makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { bytesToHex, hexToBytes } from '../bytes.js';
import type { Delta } from '../delta.js';
import { hlcFromMs } from '../hlc.js';
import type { ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { readRoot } from '../merkle/trie.js';
import { MemoryTables } from '../store/memory-store.js';
import { nameKey } from './name-key.js';
import { readClock } from './meta.js';
import type { Arrival } from './arrival.js';
import { readQuarantine } from './quarantine.js';
import { countOutbox, readCursor, receiveDeltas } from './receive.js';

const [a, b] = [0, 1].map(replicaOf) as [ReplicaId, ReplicaId];
const NOW = 1_000_000;
const { clockAheadMsMax } = defaultLimits;
const EVERYTHING = { from: new Uint8Array() };

const readable = (delta: Delta): Arrival => ({ delta, name: record('a'), fault: undefined });
const garbage = (delta: Delta): Arrival => ({ delta, name: undefined, fault: 'UNDECODABLE' });

function receive(tables: MemoryTables, arrivals: readonly Arrival[], rejected: readonly Delta[] = []) {
  const cursor = { storeId: new Uint8Array(8).fill(1), offset: 300, roll: new Uint8Array(8).fill(2) };
  const bad = rejected.map((delta) => ({ delta, fault: 'SIGNATURE_INVALID' as const }));
  const options = { nowMs: NOW, cursor, replica: b, compare: () => undefined };
  return tables.transact((tx) => receiveDeltas(tx, room, arrivals, bad, options)).result;
}

const heldIn = (tables: MemoryTables): string[] =>
  tables
    .table('deltas')
    .rows(EVERYTHING)
    .map(([key]) => bytesToHex(key.subarray(32)));

describe('receiveDeltas', () => {
  test('[HLC3] an accepted stamp moves the clock, one from too far ahead does not', () => {
    const tables = new MemoryTables();
    const clockAfter = (hlc: number, seq: number): number => {
      receive(tables, [readable(makeDelta({ replica: a, seq, hlc }))]);
      return tables.transact(readClock).result;
    };
    expect(clockAfter(50, 1)).toBe(50);
    expect(clockAfter(40, 2)).toBe(50);
    const furthest = hlcFromMs(NOW + clockAheadMsMax);
    expect(clockAfter(furthest, 3)).toBe(furthest);
    expect(clockAfter(hlcFromMs(NOW + clockAheadMsMax + 1), 4)).toBe(furthest);
  });

  test('[CX8] scenario 11: a delta that cannot be read is kept and quarantined, what it supersedes is retained', () => {
    const tables = new MemoryTables();
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const bad = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 5]]) });
    const good = makeDelta({
      replica: b,
      seq: 2,
      hlc: 12,
      prev: 9,
      context: contextOf([
        [a, 5],
        [b, 9],
      ]),
    });
    receive(tables, [readable(first)]);
    receive(tables, [garbage(bad)]);
    expect(heldIn(tables)).toEqual([bad.id]);
    expect(tables.transact((tx) => readQuarantine(tx, room)).result).toEqual([
      { delta: bad, fault: 'UNDECODABLE', sinceMs: NOW },
    ]);
    expect(
      tables
        .table('retained')
        .rows(EVERYTHING)
        .map(([, bytes]) => bytes),
    ).toEqual([first.bytes]);
    receive(tables, [readable(good)]);
    // What a readable delta supersedes is gone for good.
    expect([heldIn(tables), tables.table('retained').size]).toEqual([[good.id], 0]);
  });

  test('[CX2] what only an unusable delta had superseded stands again when that is answered', () => {
    const tables = new MemoryTables();
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const bad = makeDelta({ replica: b, seq: 1, hlc: 9, context: contextOf([[a, 7]]) });
    const late = makeDelta({ replica: a, seq: 2, hlc: 7, prev: 5 });
    const answer = makeDelta({
      replica: b,
      seq: 2,
      hlc: 12,
      prev: 9,
      context: contextOf([
        [a, 5],
        [b, 9],
      ]),
    });
    receive(tables, [readable(first), garbage(bad)]);
    receive(tables, [readable(late)]);
    expect(heldIn(tables)).toEqual([bad.id]);
    const { root } = receive(tables, [readable(answer)]);
    expect(new Set(heldIn(tables))).toEqual(new Set([late.id, answer.id]));
    expect(root).toEqual(tables.transact(readRoot).result.root);
    expect(tables.table('retained').size).toBe(0);
  });

  test('[SY10] a delta with a bad signature is quarantined and changes nothing of the set', () => {
    const tables = new MemoryTables();
    const first = makeDelta({ replica: a, seq: 1, hlc: 5 });
    const forged = makeDelta({ replica: b, seq: 1, hlc: 900, context: contextOf([[a, 899]]) });
    receive(tables, [readable(first)], [forged]);
    expect(heldIn(tables)).toEqual([first.id]);
    expect(tables.transact((tx) => readQuarantine(tx, room)).result).toEqual([
      { delta: forged, fault: 'SIGNATURE_INVALID', sinceMs: NOW },
    ]);
    expect([tables.transact(readClock).result, tables.table('dots').size]).toEqual([5, 1]);
  });

  test('[SY2] names, clock and cursor go with the deltas, in one transaction', () => {
    const tables = new MemoryTables();
    receive(tables, [readable(makeDelta({ replica: a, seq: 1, hlc: 5 }))]);
    expect(tables.transact(readCursor).result).toMatchObject({ offset: 300 });
    expect(tables.table('names').get(nameKey(record('a')))).toEqual(hexToBytes(keyIdOf(record('a'))));
    expect(tables.transact(countOutbox).result).toBe(0);
  });
});
