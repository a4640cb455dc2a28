import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, document, keyIdOf, makeDelta, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { type FloorReplica, FloorWorld } from '../../../../test/interop/floor-world.js';
import { type Context, covers, includesContext, namesOf, narrowContext } from '../context.js';
import { type Delta, FLAG } from '../delta.js';
import { hlcFromMs } from '../hlc.js';
import type { ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { acceptDeltas } from './accept.js';
import { draftCheckpoint, readCheckpointSources } from './checkpoint.js';

const name = record('everybodys');
const keyId = keyIdOf(name);
const { replicasPerKeyMax } = defaultLimits;
const numbered = (n: number): ReplicaId => n.toString(16).padStart(16, '0') as ReplicaId;
const NOW = hlcFromMs(900_000);

/** Puts that each claim to come after one that nobody has: none of them can be named but by a dot. */
const gaps = (count: number, from = 0): readonly Delta[] =>
  Array.from({ length: count }, (_, i) => {
    const n = from + i;
    return makeDelta({ replica: replicaOf(7), seq: n + 1, name, hlc: NOW + 10 + 2 * n, prev: NOW + 9 + 2 * n });
  });

const siblingsOf = (p: FloorReplica): readonly Delta[] => p.held().filter((delta) => delta.keyId === keyId);

describe('contexts that would name more than a delta can carry', () => {
  test('[FL13] narrowing only leaves out, and the first come first', () => {
    const entries = fc.uniqueArray(fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 30 })), { maxLength: 30 });
    const context = fc.tuple(entries, entries).map(([stamps, dots]) =>
      contextOf(
        stamps.map(([n, hlc]) => [numbered(n), hlc] as const),
        dots.map(([n, hlc]) => [numbered(n), hlc] as const),
      ),
    );
    const size = ({ stamps, dots }: Context) => Math.max(stamps.size, dots.length);
    fc.assert(
      fc.property(context, context, fc.integer({ min: 1, max: 20 }), (whole, some, max) => {
        const narrowed = narrowContext(whole, max, some);
        expect(includesContext(whole, narrowed)).toBe(true);
        expect(size(narrowed)).toBeLessThanOrEqual(max);
        if (size(whole) <= max) expect(narrowed).toBe(whole);
        const kept = [...whole.stamps].filter(([replica]) => some.stamps.has(replica));
        if (kept.length <= max) for (const [replica, hlc] of kept) expect(narrowed.stamps.get(replica)).toBe(hlc);
      }),
    );
  });

  test('[FL13] scenario 26: one delta that names as many as it can locks nobody out, and is named by nobody', () => {
    const p = new FloorWorld(1).at(0);
    const stamps = Array.from({ length: replicasPerKeyMax }, (_, n) => [numbered(n), 1] as const);
    p.receive([makeDelta({ replica: replicaOf(7), seq: 1, hlc: NOW, name, context: contextOf(stamps) })]);
    const write = p.write('everybodys');
    expect(siblingsOf(p).map(({ id }) => id)).toEqual([write.id]);
    expect([...write.context.stamps.keys()], 'replicas that nobody has heard of').toEqual([replicaOf(7)]);
  });

  test('[FL13] what is known of those who wrote is still named, the highest where not all fit', () => {
    const p = new FloorWorld(1).at(0);
    const writers = Array.from({ length: replicasPerKeyMax }, (_, n) => numbered(n + 1));
    p.receive(writers.map((replica, n) => makeDelta({ replica, seq: 1, hlc: n + 1, name: record('other') })));
    const context = contextOf(writers.map((replica, n) => [replica, n + 1] as const));
    p.receive([makeDelta({ replica: replicaOf(7), seq: 1, hlc: NOW, name, context })]);
    const { stamps } = p.write('everybodys').context;
    expect(stamps.size).toBeGreaterThan(replicasPerKeyMax - 100);
    expect([stamps.has(replicaOf(7)), stamps.has(numbered(1)), stamps.has(numbered(replicasPerKeyMax))]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('[FL13] a member that leaves thousands of gaps keeps nobody from writing and deleting', () => {
    const p = new FloorWorld(1).at(0);
    p.receive(gaps(replicasPerKeyMax + 1));
    const first = p.write('everybodys');
    expect(siblingsOf(p).length, 'what no context can name beside the rest').toBeLessThan(100);
    expect(first.context.dots.at(-1)?.hlc, 'the latest are named').toBe(NOW + 10 + 2 * replicasPerKeyMax);
    const last = p.remove('everybodys');
    expect(siblingsOf(p).map(({ id }) => id)).toEqual([last.id]);
  });

  test('[FL13][JS2] rows that saw more together than a delta can carry are sealed, and the own delta before them is named', () => {
    const p = new FloorWorld(1).at(0);
    p.write('everybodys');
    p.receive(gaps(3_000));
    p.journal('everybodys');
    p.receive(gaps(3_000, 3_000));
    p.journal('everybodys');
    const [sealed] = p.seal() as [Delta];
    expect(sealed.context.dots).toHaveLength(replicasPerKeyMax);
    expect(covers(sealed.context, gaps(1, 5_999)[0] as Delta), 'what the last of them saw').toBe(true);
    expect(siblingsOf(p).filter(({ replica }) => replica === p.replica)).toHaveLength(1);
  });

  test('[FL13][CX6] what a narrowed context leaves out stands again beside it, the same everywhere', () => {
    const world = new FloorWorld(2);
    const [p, q] = [world.at(0), world.at(1)];
    const spam = gaps(replicasPerKeyMax + 50);
    p.receive(spam);
    q.receive(spam);
    const first = p.write('everybodys');
    const second = p.write('everybodys');
    world.heal();
    expect(p.root()).toBe(q.root());
    const left = siblingsOf(q).filter(({ id }) => id !== second.id);
    expect(left.every((delta) => !covers(second.context, delta))).toBe(true);
    expect(siblingsOf(q).some(({ id }) => id === first.id)).toBe(false);
    q.remove('everybodys');
    q.remove('everybodys');
    world.heal();
    for (const replica of [p, q]) expect(siblingsOf(replica).map(({ flags }) => flags)).toEqual([FLAG.tombstone]);
  });

  test('[FL13][CP2] a document whose deletes name thousands of others gets its checkpoint', () => {
    const p = new FloorWorld(1).at(0);
    const page = document('page');
    const of = (n: number) => ({ replica: replicaOf(7 + n), seq: 1, hlc: NOW + n, name: page });
    const deletes = [0, 1, 2].map((n) => {
      const stamps = Array.from({ length: 2_000 }, (_, i) => [numbered(10_000 * (n + 1) + i), 1] as const);
      return makeDelta({ ...of(n), flags: FLAG.tombstone, context: contextOf(stamps) });
    });
    const deltas = [...deletes, ...[3, 4].map((n) => makeDelta({ ...of(n), text: 'x'.repeat(9_000) }))];
    p.run((tx) => acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain: () => false }));
    const { sources } = p.run((tx) => readCheckpointSources(tx, room, p.replica, keyIdOf(page), defaultLimits));
    if (sources === undefined) throw new Error('none is due');
    const merged = namesOf(sources.context, deltas);
    expect(merged.stamps.size).toBe(5);
    const draft = p.run((tx) =>
      draftCheckpoint(tx, room, p.replica, sources, new Uint8Array(9), (bytes) => bytes, 950_000),
    );
    expect(draft.context.stamps.size).toBe(replicasPerKeyMax);
  });
});
