import { createWorld, FAULTS, mixedOptions, type World } from '@mangrove/protocol/simulation';
import { describe, expect, test } from 'vitest';

/** `MANGROVE_TEST_LONG` runs a hundred times as many; `npm run simulate` as many as one likes; a planted bug meets fewer. */
const { MANGROVE_SEEDS, MANGROVE_TEST_LONG } = process.env;
const SEEDS = Number(MANGROVE_SEEDS ?? (MANGROVE_TEST_LONG === undefined ? 1_000 : 100_000));
const SEEDS_PER_TEST = 100;
const STEPS = 700;
/** One in so many is run again. */
const REPEAT_EVERY = 50;

const counts = new Map<string, number>();
const hashBySeed = new Map<number, string>();

function runSeed(seed: number): World {
  const world = createWorld(mixedOptions(seed));
  world.run({ steps: STEPS });
  world.healAndDrain();
  return world;
}

/** Half of the seeds, so that two files share the cores. */
export function describeConvergence(half: 0 | 1): void {
  describe('worlds of mixed configurations converge and lose nothing [CX2, CX3, CX4, CX6, CP1, CP3, CP8, FL4, FL5, FL8, FL10, FL11, FL12, JS1, JS4, MK3, SY3, SY5]', () => {
    const blocks = Array.from({ length: SEEDS / SEEDS_PER_TEST }, (_, i) => half * SEEDS + 1 + i * SEEDS_PER_TEST);
    test.each(blocks)(`${SEEDS_PER_TEST} seeds from %i on`, (first) => {
      for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
        const world = runSeed(seed);
        for (const [what, count] of world.counts) counts.set(what, (counts.get(what) ?? 0) + count);
        if (seed % REPEAT_EVERY === 0) hashBySeed.set(seed, world.trace.hash);
      }
    });
  });

  test('the same seed gives the same world, message by message, and another seed another', () => {
    expect(hashBySeed.size).toBe(SEEDS / REPEAT_EVERY);
    const seeds = [...hashBySeed.keys()].slice(0, 40);
    for (const seed of seeds) expect(runSeed(seed).trace.hash, `seed ${seed}`).toBe(hashBySeed.get(seed));
    expect(new Set(hashBySeed.values()).size).toBe(hashBySeed.size);
  });

  test('the worlds met what they are made to meet', () => {
    const what = [
      ...FAULTS.map((kind) => `fault ${kind}`),
      'holes found at relays',
      'holes found at replicas',
      'own deltas that came back',
      'diffs',
      'sent pull',
      'refused CLOCK_AHEAD',
      'refused UNCERTIFIED',
      'deltas left aside: clock ahead',
      'checkpoints',
      'checkpoints that lost their race',
      'floors',
      'floors that another wrote',
      'floors that lost their race',
      'tombstones collected',
      'deltas that came under a floor',
      'deltas gone from the trash',
      'refused UNDER_FLOOR',
      'deltas rejected',
      'bits flipped',
      'malformed at the relay',
      'malformed at the replica',
      'forged deltas evicted',
      'identities renewed',
      'seals that lost their race',
      'seals that waited for their time',
    ];
    expect(what.filter((kind) => !counts.get(kind))).toEqual([]);
  });
}
