import { readLogPage } from '@mangrove/protocol';
import { createWorld, type FaultKind, type World, type WorldOptions } from '@mangrove/protocol/simulation';
import { describe, expect, test } from 'vitest';
import { calmWorld, countOf, document, heldBy, record, rootsOf, roughWorld } from './fixture.js';

const SEEDS = 6;
/** What is said to find out, in messages of a few kilobytes at most, is small beside what a full resend would be. */
const RESENT_MAX = 3;

/** A room with a history, in which everybody is in sync. */
function writtenWorld(seed: number): World {
  const world = calmWorld({ seed, replicaCount: 3 });
  for (const [i, replica] of world.replicas.entries())
    for (let n = 0; n < 60; n++) {
      replica.edit(document(`d${i} ${n}`), 'document');
      if (n % 3 === 0) replica.edit(record(`r${n}`), 'put');
    }
  world.runFor(8_000);
  expect(world.replicas.every(({ isSettled }) => isSettled)).toBe(true);
  return world;
}

function strikeAndHeal(seed: number, fault: FaultKind): World {
  const world = writtenWorld(seed);
  const before = world.merkleRoots();
  const held = heldBy(world, world.replicas[0] as (typeof world.replicas)[0]).length;
  const counted = ['deltas received', 'sent push', 'diffs'].map((what) => countOf(world, what));
  world.strike(fault);
  world.runFor(8_000);
  expect(world.merkleRoots(), `seed ${seed}`).toEqual(before);
  const [received, pushes, diffs] = ['deltas received', 'sent push', 'diffs'].map((what) => countOf(world, what));
  const lost = countOf(world, 'deltas lost to holes');
  expect(lost, `seed ${seed}`).toBeGreaterThan(0);
  expect(countOf(world, 'holes found at relays') + countOf(world, 'holes found at replicas')).toBe(lost);
  // Each of the others may hear of a repaired delta, as of any that is committed.
  expect((received as number) - (counted[0] as number), `seed ${seed}`).toBeLessThanOrEqual(RESENT_MAX * lost);
  expect((received as number) - (counted[0] as number)).toBeLessThan(held);
  expect((pushes as number) - (counted[1] as number)).toBeLessThan(40);
  expect((diffs as number) - (counted[2] as number), 'passes of all replicas').toBeLessThanOrEqual(3 * 3);
  return world;
}

describe('holes', () => {
  test(`[AE1] [AE3] a relay that lost a tenth of its deltas is filled again, by what was lost alone, ${SEEDS} seeds`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) strikeAndHeal(seed, 'relay-hole').healAndDrain();
  });

  test(`[AE1] [AE3] a replica that lost deltas gets them back, and is sent nothing else, ${SEEDS} seeds`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) strikeAndHeal(seed, 'replica-hole').healAndDrain();
  });

  test('[AE3] an author pushes again what a relay has lost, and keeps its identity', () => {
    const world = roughWorld();
    const [a] = world.replicas;
    const relay = world.relays[0];
    a?.edit(document('d'), 'document');
    world.block(0, 'replica', world.loop.nowMs + 1_500);
    world.runFor(1_000);
    const deltas = relay?.tables.table('deltas');
    expect(deltas?.size).toBe(1);
    for (const [key] of deltas?.rows({ from: new Uint8Array() }) ?? []) deltas?.delete(key);
    relay?.scrub();
    world.healAndDrain();
    expect(countOf(world, 'identities renewed')).toBe(0);
    expect(countOf(world, 'refused DOT_REUSED')).toBe(0);
    expect(deltas?.size).toBe(1);
  });

  test('[AE2] a relay without some of its log loses nobody a delta', () => {
    const world = writtenWorld(1);
    const relay = world.relays[0];
    const log = relay?.tables.table('log');
    for (const [i, [key]] of (log?.rows({ from: new Uint8Array() }) ?? []).entries()) if (i % 3 === 0) log?.delete(key);
    expect(relay?.transact((tx) => readLogPage(tx, world.room, 0, [])).deltas.length).toBeGreaterThan(0);
    const newcomer = world.replicas[1];
    newcomer?.goOffline();
    for (const table of ['deltas', 'nodes', 'dots', 'contexts', 'vector'] as const) {
      const rows = newcomer?.disk.tables.table(table);
      for (const [key] of rows?.rows({ from: new Uint8Array() }) ?? []) rows?.delete(key);
    }
    newcomer?.disk.tables.table('meta').delete(new TextEncoder().encode('cursor'));
    newcomer?.goOnline();
    world.healAndDrain();
    expect(rootsOf(world)).toBe(1);
  });

  test('[AE1] holes are made and found in every kind of world', () => {
    const world = createWorld({ seed: 5, faults: ['relay-hole', 'disconnect'], faultEveryMs: 200, editCount: 60 });
    world.run({ steps: 2_000 });
    world.healAndDrain();
    expect(countOf(world, 'holes found at relays')).toBeGreaterThan(0);
  });

  // As the seeds drew them when they were found: a draw that is changed later makes other worlds of them.
  test.each<[number, string, Partial<WorldOptions>]>([
    [
      84,
      '[AE6] a vector that a relay told before it missed something is not adopted',
      {
        editCount: 60,
        editEveryMs: 60,
        duplicateRatio: 0.05,
        latencyMsMax: 1,
        clockJumpMsMax: 630720000000,
        relaySkewMsMax: 1000,
        frameBytesMax: 17,
        sendBufferBytesMax: 8192,
        windowBytes: 300,
        newcomers: 'vector',
        checkpointTailBytesMin: 2000,
        faults: [
          'disconnect',
          'partition',
          'replica-crash',
          'takeover',
          'slow-reader',
          'relay-crash',
          'relay-hole',
          'replica-hole',
        ],
        faultEveryMs: 150,
      },
    ],
    [
      149,
      '[JS2] [CX4] an own record that a lost delta had covered is not covered unseen',
      {
        editCount: 20,
        documentRatio: 0,
        keyCount: 8,
        editEveryMs: 60,
        reorder: true,
        latencyMsMax: 20,
        clockSkewMsMax: 120000,
        clockJumpMsMax: 630720000000,
        relaySkewMsMax: 1000,
        frameBytesMax: 2048,
        bulkRatio: 0.3,
        checkpointTailBytesMin: 200,
        faults: ['disconnect', 'replica-hole'],
        faultEveryMs: 150,
      },
    ],
    [
      297,
      '[AE7] an own delta that was lost before it was acknowledged holds up no comparison',
      {
        replicaCount: 2,
        editCount: 60,
        keyCount: 1,
        editEveryMs: 20,
        dropRatio: 0.04,
        duplicateRatio: 0.05,
        reorder: true,
        latencyMsMax: 1,
        clockSkewMsMax: 120000,
        clockJumpMsMax: 20000,
        frameBytesMax: 17,
        sendBufferBytesMax: 65536,
        windowBytes: 300,
        checkpointTailBytesMin: 2000,
        faults: ['partition', 'takeover', 'relay-withholds', 'replica-hole'],
        faultEveryMs: 150,
      },
    ],
    [
      440,
      '[AE7] nor does what was superseded unsent below it',
      {
        replicaCount: 4,
        editCount: 60,
        keyCount: 2,
        editEveryMs: 2,
        dropRatio: 0.01,
        duplicateRatio: 0.05,
        reorder: true,
        latencyMsMax: 100,
        clockSkewMsMax: 50,
        clockJumpMsMax: 1000,
        disk: 'barriers',
        windowBytes: 300,
        newcomers: 'vector',
        checkpointTailBytesMin: 1000000000,
        faults: ['disconnect', 'partition', 'replica-hole'],
        faultEveryMs: 150,
      },
    ],
    [
      1677,
      '[AE7] nor does what was lost unacknowledged and is covered since',
      {
        replicaCount: 4,
        editCount: 60,
        documentRatio: 0.8,
        keyCount: 1,
        editEveryMs: 60,
        dropRatio: 0.01,
        latencyMsMax: 800,
        clockSkewMsMax: 120000,
        clockJumpMsMax: 20000,
        frameBytesMax: 2048,
        sendBufferBytesMax: 65536,
        windowBytes: 300,
        checkpointTailBytesMin: 600,
        faults: ['disconnect', 'replica-crash', 'relay-hole', 'replica-hole'],
        faultEveryMs: 150,
      },
    ],
    [
      853,
      '[AE6] a comparison that finds the hole forgets the vector',
      {
        replicaCount: 4,
        editCount: 20,
        documentRatio: 0,
        keyCount: 8,
        editEveryMs: 20,
        duplicateRatio: 0.05,
        latencyMsMax: 800,
        clockSkewMsMax: 120000,
        clockJumpMsMax: 1000,
        relaySkewMsMax: 1000,
        windowBytes: 5000,
        newcomers: 'vector',
        checkpointTailBytesMin: 2000,
        faults: ['disconnect', 'partition', 'clock-jump', 'slow-reader', 'relay-hole', 'replica-hole'],
        faultEveryMs: 150,
      },
    ],
    [
      185,
      '[JS5] where what is taken back was lost before, the next one does not name what its writer never saw',
      {
        replicaCount: 2,
        editCount: 60,
        documentRatio: 0.3,
        deleteRatio: 0.6,
        editEveryMs: 150,
        dropRatio: 0.04,
        duplicateRatio: 0.05,
        reorder: true,
        latencyMsMax: 20,
        clockSkewMsMax: 120000,
        clockJumpMsMax: 600000,
        relaySkewMsMax: 200000,
        frameBytesMax: 256,
        sendBufferBytesMax: 65536,
        windowBytes: 300,
        checkpointTailBytesMin: 200,
        floorTombstonesMin: 1,
        floorContextEntriesMin: 1,
        floorCollectMax: 1,
        faults: ['partition', 'takeover', 'clock-jump', 'slow-reader', 'relay-withholds', 'death', 'replica-hole'],
        faultEveryMs: 150,
      },
    ],
    [
      1714,
      '[HLC4] who has only checkpoints to write sets its clock right as well',
      {
        replicaCount: 2,
        editCount: 12,
        documentRatio: 0.8,
        editEveryMs: 20,
        deleteRatio: 0.4,
        dropRatio: 0.04,
        duplicateRatio: 0.05,
        flipRatio: 0.05,
        latencyMsMax: 1,
        clockJumpMsMax: 630720000000,
        frameBytesMax: 256,
        bulkRatio: 0.1,
        checkpointTailBytesMin: 200,
        floorTombstonesMin: 1,
        replicaExpiryMs: 1500,
        faults: [
          'partition',
          'takeover',
          'clock-jump',
          'relay-withholds',
          'relay-restore',
          'relay-wipe',
          'relay-hole',
          'relay-repeats',
        ],
        faultEveryMs: 150,
      },
    ],
    [
      900136,
      '[FL8] what its author took back may stand where a relay had it, and takes up what a floor sweeps',
      {
        replicaCount: 2,
        disk: 'strict',
        newcomers: 'vector',
        bulkRatio: 0,
        headRestMs: 500,
        replicaExpiryMs: 7776000000,
        trashMs: 2592000000,
        retainSupersededMs: 604800000,
        editCount: 60,
        keyCount: 8,
        editEveryMs: 2,
        duplicateRatio: 0.2,
        reorder: true,
        flipRatio: 0.01,
        latencyMsMax: 100,
        clockSkewMsMax: 50,
        clockJumpMsMax: 600000,
        frameBytesMax: 2048,
        sendBufferBytesMax: 8192,
        windowBytes: 300,
        documentRatio: 0.5,
        deleteRatio: 0.2,
        checkpointTailBytesMin: 200,
        floorTombstonesMin: 1,
        floorContextEntriesMin: 3,
        floorCollectMax: 8192,
        faults: ['partition', 'replica-crash', 'relay-withholds', 'relay-crash', 'relay-hole', 'replica-hole'],
        faultEveryMs: 150,
      },
    ],
  ])('seed %i: %s', (seed, _, options) => {
    const world = createWorld({ seed, ...options });
    world.run({ steps: 700 });
    world.healAndDrain();
    expect(countOf(world, 'deltas lost to holes')).toBeGreaterThan(0);
  });

  test('[AE7] an own delta that is lost before it was acknowledged comes back, holds up nothing, and is acknowledged by that', () => {
    const world = calmWorld({ replicaCount: 2 });
    const [a] = world.replicas;
    const d = document('d');
    world.block(0, 'replica', world.loop.nowMs + 2_000);
    a?.edit(d, 'document');
    world.runFor(1_000);
    expect(world.relays[0]?.tables.table('deltas').size, 'the relay has it, and its answer is on the way').toBe(1);
    const deltas = a?.disk.tables.table('deltas');
    for (const [key] of deltas?.rows({ from: new Uint8Array() }) ?? []) deltas?.delete(key);
    a?.goOffline();
    a?.scrub();
    expect(a?.standing().outbox).toBe(0);
    expect(a?.disk.tables.table('outbox').size).toBe(1);
    a?.goOnline();
    world.healAndDrain();
    expect(countOf(world, 'own deltas that came back')).toBe(1);
    expect(a?.disk.tables.table('outbox').size).toBe(0);
    expect(a?.desk.read(d)).toHaveLength(1);
  });

  test('[JS2] [CX4] who writes over a record that the disk has lost covers nothing of what it was', () => {
    const world = calmWorld({ replicaCount: 2 });
    const [a, b] = world.replicas;
    const k = record('k');
    a?.edit(k, 'put');
    world.runFor(2_000);
    b?.edit(k, 'put');
    world.runFor(2_000);
    a?.goOffline();
    const deltas = a?.disk.tables.table('deltas');
    for (const [key] of deltas?.rows({ from: new Uint8Array() }) ?? []) deltas?.delete(key);
    a?.scrub();
    const unseen = a?.edit(k, 'put') as number;
    world.runFor(2_000);
    expect(a?.desk.read(k)).toEqual([unseen]);
    a?.goOnline();
    world.healAndDrain();
    expect(a?.desk.read(k)).toHaveLength(2);
    expect(rootsOf(world)).toBe(1);
  });
});
