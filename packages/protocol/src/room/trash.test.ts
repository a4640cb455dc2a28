import { describe, expect, test } from 'vitest';
import { keyIdOf, record, room } from '../../../../test/interop/fixture.js';
import { eager, floorOver, type FloorReplica, FloorWorld } from '../../../../test/interop/floor-world.js';
import { type Delta, trieKeyOf } from '../delta.js';
import { appendToJournal, type Edit, type JournalRow } from './journal.js';
import { listTrash, nameToTrashed, readTrash, takeFromTrash, trashedToName } from './trash.js';

/** Two replicas, the first of which has written `keys`, and a floor of the second over all of it. */
function swept(...keys: string[]): {
  readonly world: FloorWorld;
  readonly victim: FloorReplica;
  readonly other: FloorReplica;
  readonly written: readonly Delta[];
  readonly floor: Delta;
} {
  const world = new FloorWorld(2);
  const [victim, other] = world.replicas as [FloorReplica, FloorReplica];
  const written = keys.map((key) => victim.write(key));
  const last = written.at(-1) as Delta;
  const reach = new Map([[victim.replica, { seq: last.seq, hlc: last.hlc }]]);
  return { world, victim, other, written, floor: floorOver(reach, other.replica, last.hlc + 1) };
}

const read = (replica: FloorReplica, limit = 10) => replica.run((tx) => readTrash(tx, room, limit));

const editOf = (key: string, recovers: Edit['recovers']): Edit => ({
  ...{ name: record(key), flags: 0, nonces: [], payload: Uint8Array.of(0, 1) },
  ...(recovers && { recovers }),
});

const append = (replica: FloorReplica, edits: readonly Edit[], nowMs: number): readonly JournalRow[] =>
  replica.run((tx) => appendToJournal(tx, room, edits, nowMs));

describe('the trash', () => {
  test('[FL15] tells when a delta came there, whether it was swept or came late, and whose floor it was', () => {
    const { world, victim, other, written, floor } = swept('a', 'b');
    const sweptAt = world.nowMs;
    victim.receive([floor]);
    world.nowMs += 1_000;
    other.receive([floor, ...written]);
    const trashed = read(victim);
    for (const one of trashed) expect(one).toMatchObject({ sinceMs: sweptAt, why: 'swept', by: other.replica });
    expect(new Set(trashed.map(({ delta }) => delta.id))).toEqual(new Set(written.map(({ id }) => id)));
    expect(read(other)).toMatchObject([
      { sinceMs: world.nowMs, why: 'late', by: other.replica },
      { sinceMs: world.nowMs, why: 'late', by: other.replica },
    ]);
  });

  test('[FL15] is read in pages, the oldest first', () => {
    const { world, victim, floor } = swept('a', 'b', 'c');
    victim.receive([floor]);
    const all = read(victim);
    const [first, ...others] = all;
    expect(read(victim, 1)).toEqual([first]);
    expect(victim.run((tx) => readTrash(tx, room, 10, first))).toEqual(others);
    expect(all.map(({ sinceMs }) => sinceMs)).toEqual([world.nowMs, world.nowMs, world.nowMs]);
  });

  test('[FL14, FL15] tombstones that wait for an own floor’s fate are not shown, named or taken', () => {
    const world = new FloorWorld(1);
    const [p] = world.replicas as [FloorReplica];
    p.write('gone');
    p.remove('gone');
    expect(p.floor(eager, false)).toBeDefined();
    const [tombstone] = p.run((tx) => listTrash(tx, 10));
    expect(tombstone?.sinceMs).toBe(0);
    expect(read(p)).toEqual([]);
    const name = trashedToName(tombstone as NonNullable<typeof tombstone>);
    expect(() => nameToTrashed(name)).toThrow(expect.objectContaining({ code: 'NOT_IN_TRASH' }));
    const forged = { sinceMs: 1, trieKey: (tombstone as NonNullable<typeof tombstone>).trieKey };
    expect(p.run((tx) => takeFromTrash(tx, forged))).toBe(false);
    expect(p.count('trash')).toBe(2);
  });

  test('[FL15] what is recovered is a write of its own, above the floor, and stands everywhere', () => {
    const { world, victim, other, written, floor } = swept('a');
    victim.receive([floor]);
    other.receive([floor]);
    const [place] = read(victim);
    append(victim, [editOf('a', place)], ++world.nowMs);
    expect(victim.count('trash')).toBe(0);
    const [again] = victim.seal() as [Delta];
    expect(again.id).not.toBe(written[0]?.id);
    other.receive(victim.held());
    // What lies under the floor stays there, also where it comes late.
    other.receive(written);
    expect(other.root()).toBe(victim.root());
    for (const replica of [victim, other]) expect(replica.liveIds()).toEqual([again.id]);
  });

  test('[FL15] it is recovered once: who comes second writes nothing, and nor does its transaction', () => {
    const { world, victim, floor } = swept('a', 'b');
    victim.receive([floor]);
    const [place] = read(victim);
    append(victim, [editOf('a', place)], ++world.nowMs);
    const second = [editOf('c', undefined), editOf('a', place)];
    expect(() => append(victim, second, ++world.nowMs)).toThrow(expect.objectContaining({ code: 'NOT_IN_TRASH' }));
    expect(victim.count('journal')).toBe(1);
    expect(read(victim)).toHaveLength(1);
    // Nor when both are of one transaction.
    const [left] = read(victim);
    const twice = [editOf('b', left), editOf('b', left)];
    expect(() => append(victim, twice, ++world.nowMs)).toThrow(expect.objectContaining({ code: 'NOT_IN_TRASH' }));
    expect(read(victim)).toHaveLength(1);
  });

  test('[FL15] a record that was written anew since is replaced like by any write that saw it', () => {
    const { world, victim, floor } = swept('a');
    victim.receive([floor]);
    const newer = victim.write('a');
    const [place] = read(victim);
    append(victim, [editOf('a', place)], ++world.nowMs);
    const [again] = victim.seal() as [Delta];
    expect(again.keyId).toBe(keyIdOf(record('a')));
    expect(victim.liveIds()).toEqual([again.id]);
    expect(again.context.stamps.get(victim.replica)).toBe(newer.hlc);
  });

  test('[FL15] names lead to their places and nothing else does', () => {
    const { victim, written, floor } = swept('a');
    victim.receive([floor]);
    const [place] = read(victim);
    const { sinceMs, trieKey } = place as NonNullable<typeof place>;
    const name = trashedToName({ sinceMs, trieKey });
    expect(nameToTrashed(name)).toEqual({ sinceMs, trieKey: trieKeyOf(written[0] as Delta) });
    for (const bad of ['', name.slice(1), name.toUpperCase(), `${name}00`, 7 as unknown as string])
      expect(() => nameToTrashed(bad)).toThrow(expect.objectContaining({ code: 'NOT_IN_TRASH' }));
    const later = { sinceMs: sinceMs + 1, trieKey };
    expect(victim.run((tx) => takeFromTrash(tx, later))).toBe(false);
    expect(victim.run((tx) => takeFromTrash(tx, { sinceMs, trieKey }))).toBe(true);
    expect(victim.count('trash')).toBe(0);
  });
});
