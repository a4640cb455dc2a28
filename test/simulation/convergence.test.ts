import { createWorld, mixedOptions } from '@mangrove/protocol/simulation';
import { test } from 'vitest';
import { describeConvergence } from './convergence.js';

describeConvergence(0);

test.each([
  [2_001_848, '[FL12, CP2] a checkpoint claims nothing of what one that it leaves out has superseded'],
  [2_001_325, '[JS5] what was acknowledged falsely and lies years ahead is taken back'],
])('seed %i: %s', (seed) => {
  const world = createWorld(mixedOptions(seed));
  world.run({ steps: 700 });
  world.healAndDrain();
});
