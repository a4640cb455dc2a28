import { expect, test } from 'vitest';
import { fullRoom, makeDelta, replicaOf, room } from '../../../../test/interop/fixture.js';
import { bytesToHex } from '../bytes.js';
import type { Delta } from '../delta.js';
import { MemoryTables } from '../store/memory-store.js';
import { type Read, runPlan } from '../store/plan.js';
import { acceptDeltas } from './accept.js';

const a = replicaOf(0);
const options = { nowMs: 0, from: 'others', retain: () => false } as const;

test('[CX7] a dot is read once, however many deltas of a batch are of it', () => {
  const forks = Array.from({ length: 50 }, (_, i) => makeDelta({ replica: a, seq: 1, hlc: 1, text: `fork ${i}` }));
  for (const ref of [room, fullRoom]) {
    const tables = new MemoryTables();
    const take = (deltas: readonly Delta[]) => {
      const keys: string[] = [];
      const read = (one: Read) => {
        if (one.kind === 'get' && one.table === 'dots') keys.push(bytesToHex(one.key));
        return tables.read(one);
      };
      const { result, writes } = runPlan((tx) => acceptDeltas(tx, ref, deltas, options), read);
      tables.apply(writes);
      // Once to look, and once to add to it.
      expect(keys.length).toBeLessThanOrEqual(2);
      return result.outcomes;
    };
    expect(new Set(take(forks.slice(0, 25)).slice(1))).toEqual(new Set(['forked']));
    expect(new Set(take(forks.slice(25)))).toEqual(new Set(['forked']));
    expect(new Set(take(forks))).toEqual(new Set(['known']));
  }
});
