import { createHash } from 'node:crypto';
import { seededRandom } from '../support/random.mjs';
import { MEASURING } from './child.mjs';

export const AUTHORS = 32;
const ITEMS_PER_KEY = 64;
const BURST = 20;
export const BOTH = 0;
export const LEFT = 1;
export const RIGHT = 2;

/**
 * `n` items that both sides hold and `d` more on each side, in the order of their making.
 * - `tail`: the d newest of each side, by one new author a side.
 * - `scattered`: spread evenly over the history, in turns left and right.
 *
 * 32 authors write in bursts of 20 to one of n/64 keys. Seeded: the same arguments give the same items, for every peer.
 * @returns {{ authors: number, keys: number, items: { author: number, key: number, side: number }[] }}
 */
export function makeWorkload({ n, d, scenario, seed = 1 }) {
  const random = seededRandom(seed + n + d);
  const keys = Math.max(1, Math.round(n / ITEMS_PER_KEY));
  const items = [];
  let author = 0;
  let key = 0;
  const total = n + 2 * d;
  const history = scenario === 'tail' ? n : total;
  for (let i = 0; i < total; i++) {
    if (i % BURST === 0) {
      author = Math.floor(random() * AUTHORS);
      key = Math.floor(random() * keys);
    }
    if (i < history) items.push({ author, key, side: BOTH });
    else items.push(i < n + d ? { author: AUTHORS, key, side: LEFT } : { author: AUTHORS + 1, key, side: RIGHT });
  }
  if (scenario === 'scattered')
    for (let j = 0; j < 2 * d; j++) items[Math.floor(((j + 0.5) * total) / (2 * d))].side = j % 2 === 0 ? LEFT : RIGHT;
  return { authors: AUTHORS + 2, keys, items };
}

/** The 32-byte name of an item where a peer knows only names. */
export function itemId(index) {
  return createHash('sha256').update(`item ${index}`).digest();
}

/** What `side` holds, as indices in the order of making. */
export function heldBy(side, items) {
  return items.flatMap((item, index) => (item.side === BOTH || item.side === side ? [index] : []));
}

/** Runs `work` and returns its result and its CPU time in ms, of all threads of the process. */
export function timed(work) {
  sayMeasuring();
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1_000 };
}

export async function timedAsync(work) {
  sayMeasuring();
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1_000 };
}

/** So that a cell that is ended for want of time can be told from one that was never set up. Written at once, as it is a pipe. */
function sayMeasuring() {
  console.log(MEASURING);
}
