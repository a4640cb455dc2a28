import { bytesToDelta, type Delta, dotKey, type MemoryTables, type Plan, trieKeyOf } from '@mangrove/protocol';
import { bytesToHex } from '../../packages/protocol/src/bytes.js';
import { buildTrie } from '../../packages/protocol/src/merkle/trie.js';
import { readRoot } from '../../packages/protocol/src/merkle/trie.js';
import type { Store, TransactOptions } from '../../packages/protocol/src/store/store.js';
import { runPlan } from '../../packages/protocol/src/store/plan.js';
import { room, sha256 } from '../interop/fixture.js';

/** A store in memory that counts what is written, so that a frame which changes nothing is seen to change nothing. */
export class CountingStore implements Store {
  readonly tables: MemoryTables;
  writes = 0;

  constructor(tables: MemoryTables) {
    this.tables = tables;
  }

  async transact<Result>(plan: Plan<Result>, _: TransactOptions): Promise<Result> {
    const { result, writes } = runPlan(plan, (read) => this.tables.read(read));
    this.writes += writes.length;
    this.tables.apply(writes);
    return result;
  }

  async close(): Promise<void> {}
}

const ALL = { from: new Uint8Array() };

/** What is wrong with a store after all, in words; undefined when nothing is. `isAllowed` judges each delta of the set. */
export function storeFault(tables: MemoryTables, isAllowed: (delta: Delta) => boolean): string | undefined {
  const rows = tables.table('deltas').rows(ALL);
  const { root } = tables.transact((tx) => readRoot(tx)).result;
  if (
    bytesToHex(
      buildTrie(
        sha256,
        rows.map(([key]) => key),
      ).root,
    ) !== bytesToHex(root)
  )
    return 'the root is not that of the set';
  const dots = new Set<string>();
  for (const [key, bytes] of rows) {
    const delta = bytesToDelta(sha256, room.roomId, bytes);
    if (bytesToHex(trieKeyOf(delta)) !== bytesToHex(key)) return 'a delta stands under the key of another';
    if (!isAllowed(delta)) return `a delta of ${delta.replica} is in the set that nobody may have signed`;
    dots.add(bytesToHex(dotKey(delta)));
  }
  const held = new Set(
    tables
      .table('dots')
      .rows(ALL)
      .map(([key]) => bytesToHex(key.subarray(0, 16))),
  );
  if (held.size !== dots.size || [...dots].some((dot) => !held.has(dot))) return 'the dots are not those of the set';
  return undefined;
}
