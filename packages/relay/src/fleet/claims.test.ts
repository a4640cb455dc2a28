import { expect, test } from 'vitest';
import { nodeHash, nodeRandom } from '../runtimes/node-crypto.js';
import { onceInFleet } from './claims.js';
import { MemoryEngine, MemoryLogs } from './memory-engine.js';

const NOW_MS = 1_800_000_000_000;

test('[RF2] an id is used once by all relays together, however they come at once and whatever the engine takes twice', async () => {
  const logs = new MemoryLogs();
  let isOdd = false;
  const faults = {
    losesAnswer: () => {
      isOdd = !isOdd;
      return isOdd;
    },
    forgetsId: () => true,
  };
  const relays = [0, 1, 2].map(() => onceInFleet(new MemoryEngine(logs, faults), nodeHash, nodeRandom));
  for (let i = 0; i < 20; i++) {
    const answers = await Promise.all(relays.map((once) => once(`ticket ${i}`, NOW_MS + 30_000, NOW_MS)));
    expect(answers.filter((isFirst) => isFirst)).toHaveLength(1);
    expect(await relays[i % 3]?.(`ticket ${i}`, NOW_MS + 30_000, NOW_MS)).toBe(false);
  }
  expect(await relays[0]?.('late', NOW_MS - 1, NOW_MS)).toBe(false);
  await expect(relays[0]?.('far', NOW_MS + 3_600_000, NOW_MS)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});

test('[RF2] what is over is forgotten', async () => {
  const logs = new MemoryLogs();
  const once = onceInFleet(new MemoryEngine(logs), nodeHash, nodeRandom);
  await once('a', NOW_MS + 1_000, NOW_MS);
  const before = [...logs.logs].flatMap(([name, { entries }]) => (entries.length > 0 ? [name] : []));
  expect(before).toHaveLength(1);
  await once('b', NOW_MS + 600_000, NOW_MS + 599_000);
  await expect.poll(() => before.map((name) => logs.log(name).entries.length)).toEqual([0]);
});
