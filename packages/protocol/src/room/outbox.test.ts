import { describe, expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { bytesToHex, u64ToBytes } from '../bytes.js';
import { type Delta, trieKeyOf } from '../delta.js';
import { PART_BYTES } from '../parts.js';
import type { Read } from '../store/plan.js';
import { MemoryTables } from '../store/memory-store.js';
import { toEntry } from '../stub.js';
import { StubCache } from '../stub-cache.js';
import { acceptDeltas } from './accept.js';
import { readOutboxPage } from './outbox.js';
import { outboxEntryToBytes } from './outbox-entry.js';

const me = replicaOf(0);
const MAX = { deltas: 100, bytes: 1_000_000 };

function ownDelta(seq: number, size: number): Delta {
  return makeDelta({ replica: me, seq, hlc: 10 + seq, name: record(`r${seq}`), text: 'x'.repeat(size) });
}

/** Own deltas that wait, one for each size. */
function outboxOf(sizes: readonly number[]) {
  const tables = new MemoryTables();
  const deltas = sizes.map((size, i) => ownDelta(i + 1, size));
  tables.transact(function* (tx) {
    yield* acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain: () => false });
    for (const delta of deltas)
      tx.put('outbox', u64ToBytes(delta.seq), outboxEntryToBytes({ writes: 1, oldestAtMs: 0 }, delta));
  });
  const stubs = new StubCache();
  const page = (fromSeq: number, max = MAX) => {
    const reads: Read[] = [];
    const { result } = tables.transact(function* (tx) {
      const steps = readOutboxPage(tx, room, me, fromSeq, max, stubs);
      for (let step = steps.next(); ; ) {
        if (step.done) return step.value;
        reads.push(...step.value);
        step = steps.next(yield step.value);
      }
    });
    const bodies = reads.filter(({ table }) => table === 'deltas').length;
    return { ...result, bodies };
  };
  return { tables, deltas, page };
}

const entryOf = (delta: Delta): Uint8Array => toEntry(room.hash, room.roomId, delta.bytes);

describe('readOutboxPage', () => {
  test('[SY17] a page is bounded in count and in bytes of bodies, and the next one follows it', () => {
    const { deltas, page } = outboxOf([10, 400_000, 400_000, 400_000, 10]);
    const first = page(1);
    expect(first.entries).toEqual(deltas.slice(0, 3).map(entryOf));
    expect(first.nextSeq).toBe(4);
    expect(page(4).entries).toEqual(deltas.slice(3).map(entryOf));
    expect(page(4).nextSeq).toBeUndefined();
    expect(page(1, { ...MAX, deltas: 2 })).toMatchObject({ entries: { length: 2 }, nextSeq: 3 });
    expect(page(6)).toMatchObject({ entries: [], nextSeq: undefined });
  });

  test('[SY17] one delta goes whatever it weighs', () => {
    const { deltas, page } = outboxOf([10, 2_000_000, 2_000_000]);
    expect(page(1)).toMatchObject({ entries: { length: 1 }, nextSeq: 2 });
    expect(page(2)).toMatchObject({ entries: [entryOf(deltas[1] as Delta)], nextSeq: 3 });
  });

  test('[SY18] what was offered once is offered again without its body being read', () => {
    const { deltas, page } = outboxOf([PART_BYTES * 2, 10, PART_BYTES * 3]);
    expect(page(1).bodies).toBe(3);
    const again = page(1);
    expect(again.bodies).toBe(1);
    expect(again.entries).toEqual(deltas.map(entryOf));
  });

  test('[SY18] what has left the set is offered no more, though its stub is remembered', () => {
    const { tables, deltas, page } = outboxOf([PART_BYTES * 2, 10]);
    page(1);
    const [first, second] = deltas as [Delta, Delta];
    const dots = tables.table('dots');
    for (const [key, value] of dots.rows({ from: new Uint8Array() }))
      if (bytesToHex(value) === bytesToHex(trieKeyOf(first)))
        tables.transact(function* (tx) {
          tx.delete('dots', key);
        });
    expect(page(1).entries).toEqual([entryOf(second)]);
  });
});

describe('StubCache', () => {
  test('[SY18] it keeps a bounded number, and the oldest go', () => {
    const stubs = new StubCache();
    const keyOf = (i: number): Uint8Array => u64ToBytes(i);
    for (let i = 0; i < 300; i++) {
      stubs.keep(keyOf(i), new Uint8Array(4_096));
      stubs.keep(keyOf(i), new Uint8Array(4_096));
    }
    const kept = Array.from({ length: 300 }, (_, i) => i).filter((i) => stubs.get(keyOf(i)) !== undefined);
    expect(kept).toHaveLength(256);
    expect(kept[0]).toBe(44);
  });
});
