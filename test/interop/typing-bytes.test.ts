import { expect, test } from 'vitest';
import { tableOf, totalOf, typePage } from './typing-bytes.js';

/** With two signatures, which are 128 of them. */
const BYTES_PER_KEY_MAX = 200;
/** What merging the page every few thousand bytes adds, as long as bodies are not compressed. */
const CHECKPOINT_BYTES_PER_KEY_MAX = 25;

test('[SY21] [SY22] a key typed each 48 ms costs at most 200 bytes in all four directions, with signatures and without checkpoints', async () => {
  const { explained, isSame } = await typePage(400);
  expect(isSame).toBe(true);
  if (process.env.MANGROVE_TYPING_BYTES !== undefined) console.log(tableOf(explained));
  const checkpoints = totalOf(new Map([...explained].filter(([purpose]) => purpose === 'checkpoints')));
  expect(checkpoints, tableOf(explained)).toBeLessThanOrEqual(CHECKPOINT_BYTES_PER_KEY_MAX);
  expect(totalOf(explained) - checkpoints, tableOf(explained)).toBeLessThanOrEqual(BYTES_PER_KEY_MAX);
}, 120_000);
