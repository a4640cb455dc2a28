import { expect } from 'vitest';
import type { Person } from '../person.js';
import type { Profile } from '../profile.js';
import { type ArriveOptions, type Stage, waitUntilEqual } from '../stage.js';
import { type Load, readLoad, type Rung, type Stream } from './load.js';
import { judge } from './survivors.js';
import type { Tally } from './tally.js';

const HEALED_WITHIN_MS = 60_000;

/**
 * Opens a browser again that ended without a warning, first without a network: what it shows then is what its disk kept. Then it
 * meets the relay, and a replica that has everything from there.
 */
export async function comeBack(
  stage: Stage,
  profile: Profile,
  loads: readonly Load[],
  tally: Tally,
  options: Pick<ArriveOptions, 'expectTrouble'> = {},
): Promise<Person> {
  await Promise.all(loads.map((load) => load.isGone()));
  const ben = await stage.arrive('Ben');
  await ben.waitUntilInSync(HEALED_WITHIN_MS);
  const anna = await stage.arrive('Anna', { ...options, profile, isCutOff: true });
  for (const load of loads) await look(anna, load, 'disk', tally, ben);
  anna.network.heal();
  const { root } = await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  expect((await stage.relay.version(stage.room))?.root).toBe(root);
  await checkArrived(ben, loads, tally);
  // One that gave a number away twice would have taken another identity.
  expect((await anna.status()).lastError?.code).not.toBe('DOT_REUSED');
  await ben.session.close();
  return anna;
}

/** Counts what was promised, and what of it is not there. `sent`: somebody who has what the relay has, and nothing else. */
export async function look(person: Person, load: Load, rung: Rung, tally: Tally, sent?: Person): Promise<void> {
  const sentTo = sent === undefined ? undefined : await readLoad(sent, load.mark);
  const found = await readLoad(person, load.mark);
  for (const stream of load.streams) {
    const there = new Set(found[stream].numbers);
    const promised = promisedOf(load, stream, rung);
    const forgotten = sentTo?.[stream].numbers.filter((n) => !there.has(n));
    tally.add(`${load.mark} ${stream}`, judge(promised, found[stream]), forgotten);
    tally.acknowledged += promised.size;
    tally.underWay += load.at('written', stream).size - promised.size;
  }
}

/** What was promised has come to somebody else as well. */
export async function checkArrived(person: Person, loads: readonly Load[], tally: Tally): Promise<void> {
  for (const load of loads) {
    const found = await readLoad(person, load.mark);
    for (const stream of load.streams)
      tally.add(`${load.mark} ${stream} of ${person.name}`, judge(promisedOf(load, stream, 'disk'), found[stream]));
  }
}

/** Notes of two rungs may come apart: what is at the relay is on disk. */
function promisedOf(load: Load, stream: Stream, rung: Rung): Set<number> {
  return new Set([...load.at(rung, stream), ...load.at('relay', stream)]);
}
