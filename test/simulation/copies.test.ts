import { createWorld, mixedOptions, type World, type WorldOptions } from '@mangrove/protocol/simulation';
import { expect, test } from 'vitest';
import { rootsOf } from './fixture.js';

/** What would let no copy notice another in time, or nobody keep what was acknowledged: see `mixedOptions`. */
const NOT_BESIDE_COPIES = [
  'copied-profile',
  'death',
  'relay-hole',
  'relay-repeats',
  'relay-restore',
  'relay-two-histories',
  'relay-wipe',
  'replica-hole',
  'switch-relay',
];
const SEEDS = 25;

// Floors are drawn here as anywhere, and of all that befalls these worlds a context that reaches over what lies under one is the rarest.
test.each([
  ['a context over a tombstone that the floor took with the key', 100_225],
  ['a context over a delete of another replica', 200_191],
])('[SY24, FL12] a copy that slept goes on beside the original: %s (seed %i)', (_, seed) => {
  expect(rootsOf(runCopied(seed))).toBe(1);
});

test('[SY24, FL10] a delete that both copies have sealed is collected, though the one of which it was told is gone (seed 810138)', () => {
  const world = createWorld(mixedOptions(810_138));
  world.run({ steps: 700 });
  world.healAndDrain();
  expect(rootsOf(world)).toBe(1);
  expect(world.counts.get('tombstones collected')).toBeGreaterThan(0);
});

test(`[SY24, CX4] a copy that slept goes on beside the original, and nobody's write is covered unseen: ${SEEDS} seeds`, () => {
  let floors = 0;
  for (let seed = 300_001; seed <= 300_000 + SEEDS; seed++) {
    const world = runCopied(seed);
    expect(rootsOf(world), `seed ${seed}`).toBe(1);
    floors += world.counts.get('floors') ?? 0;
  }
  expect(floors, 'worlds that have both').toBeGreaterThan(0);
});

/** A profile is copied, both are edited and put to sleep in turns, and then everything heals. The oracles look on. */
function runCopied(seed: number): World {
  const draw = drawerOf(seed);
  const options = copiedOptions(seed);
  const world = createWorld(options);
  world.run({ steps: 50 + Math.floor(draw() * 400) });
  const original = Math.floor(draw() * options.replicaCount);
  let copy = world.replicas[original] as World['replicas'][number];
  world.guard(() => {
    copy = world.copyProfile(original);
    if (draw() < 0.7) copy.goOffline();
  });
  const either = () => (draw() < 0.5 ? copy : (world.replicas[original] as typeof copy));
  for (let turn = 0; turn < 4; turn++) {
    world.run({ steps: 50 + Math.floor(draw() * 200) });
    world.guard(() => {
      const sleeper = either();
      if (sleeper.isUp && draw() < 0.5) sleeper.goOffline();
      else if (sleeper.isUp) sleeper.goOnline();
      for (let edit = 0; edit < 2; edit++) {
        const writer = either();
        const key = world.keys[Math.floor(draw() * world.keys.length)] as World['keys'][number];
        if (!writer.isUp) continue;
        if (key.kind === 'document') writer.edit(key, 'document');
        else writer.edit(key, draw() < 0.4 ? 'delete' : 'put');
      }
    });
  }
  world.run({ steps: 300 });
  world.guard(() => {
    for (const replica of world.replicas) replica.goOnline();
  });
  world.healAndDrain();
  return world;
}

function copiedOptions(seed: number): WorldOptions {
  const options = mixedOptions(seed);
  const faults = options.faults.filter((fault) => !NOT_BESIDE_COPIES.includes(fault));
  return { ...options, relayCount: 1, flipRatio: 0, faults };
}

/** From 0 to 1, drawn apart from the world's own chance. */
function drawerOf(seed: number): () => number {
  let state = (seed * 7_919 + 13) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
