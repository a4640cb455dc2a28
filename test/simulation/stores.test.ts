import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Plan, Store } from '@mangrove/protocol';
import { createWorld, mixedOptions, type Transacted } from '@mangrove/protocol/simulation';
import { describe, expect, test } from 'vitest';
import { MemoryDatabase } from '../../packages/client/src/stores/memory-database.js';
import { openLmdb } from '../../packages/relay/src/storage/lmdb-store.js';

// A world runs on tables in memory, at once. Here the stores that ship are put through the same transactions in the same order,
// power cuts included, and must have given the same answer to every read.

const SEEDS = [3, 4, 5, 8];
const STEPS = 400;

const STORES: Record<string, () => { open(room: string): Store; close(): Promise<void> }> = {
  lmdb: () => {
    const path = mkdtempSync(join(tmpdir(), 'mangrove-simulation-'));
    const environment = openLmdb(path);
    return {
      open: (room) => environment.room(room as never),
      close: async () => {
        await environment.close();
        rmSync(path, { recursive: true, force: true });
      },
    };
  },
  memory: () => {
    const database = new MemoryDatabase();
    return { open: (room) => database.room(room as never), close: () => database.close() };
  },
};

describe.each(Object.keys(STORES))('%s', (name) => {
  test.each(SEEDS)('[CX6, JS1] gives a world of seed %i what its own tables gave', async (seed) => {
    const world = createWorld({ ...mixedOptions(seed), disk: 'barriers' });
    const logs = world.replicas.map(({ disk }) => {
      const log: Transacted[] = [{ reads: [], writes: dumpOf(disk.tables) }];
      disk.heard = (transacted) => log.push(transacted);
      return log;
    });
    world.run({ steps: STEPS });
    world.healAndDrain();
    const stores = (STORES[name] as (typeof STORES)[string])();
    let reads = 0;
    for (const [i, log] of logs.entries()) {
      const store = stores.open(String(i).repeat(64));
      for (const transacted of log) {
        await store.transact(replay(transacted), { mode: 'write', durability: 'relaxed' });
        reads += transacted.reads.length;
      }
      const rows = await Promise.all(
        dumpOf((world.replicas[i] as (typeof world.replicas)[0]).disk.tables).map(read(store)),
      );
      expect(rows.every(Boolean), `seed ${seed}: replica ${i} ends with other rows`).toBe(true);
    }
    expect(reads).toBeGreaterThan(100);
    await stores.close();
  });
});

type Put = Extract<Transacted['writes'][number], { kind: 'put' }>;
type Tables = ReturnType<typeof createWorld>['replicas'][number]['disk']['tables'];

function dumpOf(tables: Tables): readonly Put[] {
  return tables.dump().map((line): Put => {
    const [table, key, value] = line.split(' ') as [Put['table'], string, string];
    return { kind: 'put', table, key: bytesOf(key), value: bytesOf(value) };
  });
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

const read =
  (store: Store) =>
  async ({ table, key, value }: Put): Promise<boolean> => {
    const held = await store.transact((tx) => tx.get(table, key), { mode: 'read' });
    return held !== undefined && Buffer.compare(held, value) === 0;
  };

function replay({ reads, writes }: Transacted): Plan<void> {
  return function* (tx) {
    if (reads.length > 0) {
      const answers = yield reads.map(([asked]) => asked);
      for (const [i, [asked, expected]] of reads.entries())
        if (textOf(answers[i]) !== textOf(expected)) throw new Error(`another answer to ${JSON.stringify(asked)}`);
    }
    for (const write of writes) {
      if (write.kind === 'put') tx.put(write.table, write.key, write.value);
      else tx.delete(write.table, write.key);
    }
  };
}

function textOf(answer: unknown): string {
  if (answer === undefined) return '-';
  if (answer instanceof Uint8Array) return Buffer.from(answer).toString('hex');
  return `[${(answer as readonly unknown[]).map(textOf).join(' ')}]`;
}
