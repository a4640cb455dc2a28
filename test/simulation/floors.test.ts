import { type Delta, FLAG, hasFlag } from '@mangrove/protocol';
import { createWorld, type SimReplica, type World } from '@mangrove/protocol/simulation';
import { describe, expect, test } from 'vitest';
import { calmWorld, countOf, heldBy, record, rootsOf } from './fixture.js';

/** Floors as soon as they weigh less than what they collect. */
const EAGER = { floorTombstonesMin: 1 } as const;
const EXPIRY_MS = 4_000;
const names = Array.from({ length: 6 }, (_, i) => record(`r${i}`));

const floorsOf = (world: World, replica: SimReplica): readonly Delta[] =>
  heldBy(world, replica).filter((delta) => hasFlag(delta, FLAG.floor));
const tombstonesOf = (world: World, replica: SimReplica): readonly Delta[] =>
  heldBy(world, replica).filter((delta) => hasFlag(delta, FLAG.tombstone));
const three = (world: World) => world.replicas as [SimReplica, SimReplica, SimReplica];

function writeAll(world: World, replica: SimReplica): readonly number[] {
  const written = names.map((name) => replica.edit(name, 'put'));
  world.runFor(3_000);
  return written;
}

function deleteAll(replica: SimReplica): void {
  for (const name of names) replica.edit(name, 'delete');
}

describe('floors', () => {
  test('[FL4, FL11] 9: what was deleted is collected everywhere by one floor, then there is silence', () => {
    const world = calmWorld(EAGER);
    writeAll(world, three(world)[0]);
    deleteAll(three(world)[1]);
    world.runFor(6_000);
    expect(countOf(world, 'floors')).toBe(1);
    expect(countOf(world, 'tombstones collected')).toBe(names.length);
    for (const replica of world.replicas) expect(heldBy(world, replica)).toHaveLength(1);
    world.runFor(60_000);
    expect(countOf(world, 'floors')).toBe(1);
    world.healAndDrain();
    expect(rootsOf(world)).toBe(1);
  });

  test('[FL8] 9: nothing is collected before an absent replica has seen the deletes', () => {
    const world = calmWorld(EAGER);
    const [p, , q] = three(world);
    writeAll(world, p);
    q.goOffline();
    deleteAll(p);
    world.runFor(30_000);
    expect(countOf(world, 'floors')).toBe(0);
    expect(tombstonesOf(world, p)).toHaveLength(names.length);
    q.goOnline();
    world.healAndDrain();
    expect(countOf(world, 'floors')).toBe(1);
    for (const replica of world.replicas) expect(tombstonesOf(world, replica)).toEqual([]);
  });

  test('[FL5, FL8] 10: one that was given up keeps what stands and its own unsent edits, and brings nothing back', () => {
    const world = calmWorld({ ...EAGER, replicaExpiryMs: EXPIRY_MS });
    const [p, r, q] = three(world);
    writeAll(world, p);
    const [kept, edited, ...gone] = names as [(typeof names)[0], (typeof names)[0], ...typeof names];
    q.goOffline();
    const unsent = q.edit(edited, 'put');
    // Those who stay are heard of again and again, who is away is not.
    for (const name of [edited, ...gone]) p.edit(name, 'delete');
    world.runFor(2 * EXPIRY_MS);
    const later = r.edit(kept, 'put');
    world.runFor(2 * EXPIRY_MS);
    expect(countOf(world, 'floors')).toBeGreaterThan(0);
    expect(tombstonesOf(world, p)).toEqual([]);
    q.goOnline();
    world.healAndDrain();
    for (const replica of world.replicas) {
      expect(replica.desk.read(kept)).toEqual([later]);
      expect(replica.desk.read(edited)).toEqual([unsent]);
      for (const name of gone) expect(replica.desk.read(name)).toEqual([]);
    }
  });

  test('[FL5] 10: what is sent again from under a floor, for want of an acknowledgement, is written again rather than lost', () => {
    const world = calmWorld({ ...EAGER, replicaExpiryMs: EXPIRY_MS });
    const [p, r, q] = three(world);
    writeAll(world, p);
    const again = record('again');
    const relay = world.relays[0];
    if (relay === undefined) throw new Error('a world without a relay');
    relay.tampers = (message, to) => (to === q.id && message.kind === 'ack' ? undefined : message);
    const written = q.edit(again, 'put');
    world.runFor(300);
    q.goOffline();
    relay.tampers = undefined;
    expect(q.standing().outbox).toBe(1);
    expect(p.desk.read(again)).toEqual([written]);
    p.edit(again, 'delete');
    deleteAll(p);
    world.runFor(2 * EXPIRY_MS);
    r.edit(record('other'), 'put');
    world.runFor(2 * EXPIRY_MS);
    expect(tombstonesOf(world, p)).toEqual([]);
    q.goOnline();
    world.healAndDrain();
    const told = ['refused UNDER_FLOOR', 'deltas that came back from under a floor'].map((what) =>
      countOf(world, what),
    );
    expect(Math.max(...told)).toBe(1);
    for (const replica of world.replicas) expect(replica.desk.read(again)).toEqual([written]);
  });

  test('[FL5] what was superseded unacknowledged waits for nothing once what superseded it is collected', () => {
    const world = calmWorld({ ...EAGER, replicaExpiryMs: EXPIRY_MS });
    const [p, r, q] = three(world);
    writeAll(world, p);
    const relay = world.relays[0];
    if (relay === undefined) throw new Error('a world without a relay');
    relay.tampers = (message, to) => (to === q.id && message.kind === 'ack' ? undefined : message);
    const again = record('again');
    q.edit(again, 'put');
    world.runFor(300);
    // The relay tells by its greeting that it has it: what it never said to know would be unseen [CX10].
    q.goOffline();
    q.goOnline();
    world.runFor(300);
    for (const name of [again, ...names]) p.edit(name, 'delete');
    world.runFor(2 * EXPIRY_MS);
    r.edit(record('other'), 'put');
    world.runFor(2 * EXPIRY_MS);
    expect(tombstonesOf(world, q)).toEqual([]);
    expect(q.standing().outbox).toBe(1);
    relay.tampers = undefined;
    q.goOffline();
    q.goOnline();
    world.healAndDrain();
    expect(q.standing().outbox).toBe(0);
    for (const replica of world.replicas) expect(replica.desk.read(again)).toEqual([]);
  });

  test('[FL3, FL12] a record that was collected is written and deleted again, as if it were new', () => {
    const world = calmWorld(EAGER);
    const [p, q] = three(world);
    for (let round = 1; round <= 3; round++) {
      const written = writeAll(world, round % 2 === 0 ? p : q);
      for (const replica of world.replicas)
        expect(names.flatMap((name) => replica.desk.read(name))).toEqual([...written]);
      deleteAll(round % 2 === 0 ? q : p);
      world.runFor(6_000);
      expect(countOf(world, 'floors')).toBe(round);
      for (const replica of world.replicas) expect(heldBy(world, replica)).toHaveLength(1);
    }
    world.healAndDrain();
  });

  test('[FL11, FL12] 26: a record that many write in turn names those who came since the last floor', () => {
    const world = calmWorld({ replicaCount: 8, floorContextEntriesMin: 3 });
    const name = record('contended');
    let longest = 0;
    for (const replica of [...world.replicas, ...world.replicas]) {
      replica.edit(name, 'put');
      world.runFor(4_000);
      const standing = heldBy(world, replica).filter((delta) => !hasFlag(delta, FLAG.floor));
      expect(standing).toHaveLength(1);
      longest = Math.max(longest, standing[0]?.context.stamps.size ?? 0);
    }
    expect(countOf(world, 'floors')).toBeGreaterThan(2);
    expect(longest).toBeLessThan(world.replicas.length - 2);
    for (const replica of world.replicas) expect(floorsOf(world, replica)).toHaveLength(1);
    world.healAndDrain();
  });

  test('[FL5] [SY3] seed 81252: what a swept checkpoint had covered counts as seen until what covers it now has come', () => {
    const world = createWorld({
      seed: 81252,
      relayCount: 2,
      editCount: 60,
      documentRatio: 1,
      keyCount: 2,
      deleteRatio: 0.6,
      editEveryMs: 2,
      duplicateRatio: 0.05,
      latencyMsMax: 20,
      clockSkewMsMax: 5000,
      clockJumpMsMax: 1000,
      disk: 'barriers',
      bulkRatio: 0.1,
      newcomers: 'vector',
      checkpointTailBytesMin: 2000,
      floorTombstonesMin: 1,
      floorContextEntriesMin: 3,
      replicaExpiryMs: 1500,
      faults: ['partition', 'clock-jump', 'relay-withholds', 'switch-relay', 'relay-crash', 'replica-hole'],
    });
    world.run({ steps: 700 });
    world.healAndDrain();
    expect(countOf(world, 'floors')).toBeGreaterThan(0);
  });

  test('[FL5] [CX4] seed 91741: what its author writes again after a floor is news to who saw it before', () => {
    const world = createWorld({
      seed: 91741,
      replicaCount: 3,
      editCount: 20,
      documentRatio: 0.5,
      keyCount: 4,
      deleteRatio: 0.6,
      editEveryMs: 20,
      dropRatio: 0.04,
      reorder: true,
      latencyMsMax: 20,
      clockSkewMsMax: 120000,
      clockJumpMsMax: 20000,
      disk: 'barriers',
      frameBytesMax: 17,
      sendBufferBytesMax: 65536,
      windowBytes: 300,
      checkpointTailBytesMin: 2000,
      floorTombstonesMin: 1,
      floorContextEntriesMin: 3,
      replicaExpiryMs: 1500,
      trashMs: 1000,
      newcomers: 'vector',
      faults: [
        'disconnect',
        'partition',
        'replica-crash',
        'clock-jump',
        'slow-reader',
        'relay-withholds',
        'relay-crash',
      ],
      faultEveryMs: 400,
    });
    world.run({ steps: 700 });
    world.healAndDrain();
    expect(countOf(world, 'floors')).toBeGreaterThan(0);
  });
});
