import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { needs } from '../../support/engines/abilities.js';
import { chromiumBackends } from '../../support/faults/backends.js';
import { flipBit } from '../../support/faults/flip.js';
import { Load, readLoad } from '../../support/faults/load.js';
import { judge } from '../../support/faults/survivors.js';
import { triesOf } from '../../support/faults/tries.js';
import type { Person } from '../../support/person.js';
import type { Profile } from '../../support/profile.js';
import { type Stage, setStage, waitUntilEqual } from '../../support/stage.js';
import { until } from '../../support/until.js';

/** In each backend. */
const TRIES = triesOf({ usually: 2, long: 20 });
const BITS = 6;
const TRY_MS_MAX = 200_000;
const HEALED_WITHIN_MS = 45_000;
/** What a browser says of a database that it cannot read. */
const OF_THE_BROWSER = /./;

const devtools = needs('devtools');

/** How a try ended. `whole`: nothing was missing when the room was opened. */
interface Outcome {
  readonly how: 'whole' | 'healed' | 'not healed';
  readonly isTold: boolean;
  readonly words: string;
}

describe.skipIf(devtools.isLacking).each(chromiumBackends)(
  `a profile in $name at rest${devtools.why}`,
  ({ name, openEngine, isIn, hasChecksums }) => {
    const stage = setStage({ openEngine });
    // Where there are no checksums most bits hit nothing that is in use.
    const bits = hasChecksums ? 1 : BITS;

    test(
      `[AE1] [AE3] [AE8] ${TRIES} times ${bits === 1 ? 'one bit' : `${bits} bits`} of a database flip: all that the relay has comes back`,
      async () => {
        const outcomes: Outcome[] = [];
        for (let round = 0; round < TRIES; round++) {
          const room = randomUUID();
          const profile = await stage.newProfile();
          const load = await writeAndClose(stage, profile, room, round % 4 >= 2);
          expect(await isIn(profile.folder), `databases are in ${name}`).toBe(true);
          const where: string[] = [];
          while (where.length < bits) where.push(await flipBit(profile.folder));
          const isCutOff = round % 2 === 1;
          const outcome = await openDamaged(stage, profile, room, load, isCutOff);
          outcomes.push(outcome);
          console.log(
            `${name}, ${where.join(', ')}, opened ${isCutOff ? 'without' : 'with'} a network: ${outcome.words}`,
          );

          const ben = await stage.arrive('Ben', { room });
          await ben.waitUntilInSync(HEALED_WITHIN_MS);
          expect(await countMissing(ben, load), 'of what the relay had').toBe(0);
          await Promise.all([profile.close().catch(() => {}), ben.session.close()]);
        }
        const count = (isSo: (outcome: Outcome) => boolean): number => outcomes.filter(isSo).length;
        const counts = (['whole', 'healed', 'not healed'] as const).map(
          (way) =>
            `${way} ${count(({ how }) => how === way)}, told ${count(({ how, isTold }) => how === way && isTold)}`,
        );
        console.log(`flipped bits, ${name}: ${TRIES} tries, ${counts.join('; ')}`);
        expect(outcomes.filter(({ how }) => how === 'not healed')).toEqual([]);
      },
      TRIES * TRY_MS_MAX,
    );
  },
);

/** A room whose every delta is at the relay, on a disk at rest. `isAged`: opened once more, for LevelDB makes a table of its log then. */
async function writeAndClose(stage: Stage, profile: Profile, room: string, isAged: boolean): Promise<Load> {
  const anna = await stage.arrive('Anna', { profile, room });
  const load = await Load.start(anna, 'before', undefined, 5);
  await load.until('relay', 40);
  await load.stop();
  await anna.waitUntilInSync();
  await profile.close();
  if (isAged) {
    await (await stage.arrive('Anna', { profile, room })).waitUntilInSync();
    await profile.close();
  }
  return load;
}

/** She writes on what is left, with a network or before there is one; then she and the relay are to have everything. */
async function openDamaged(
  stage: Stage,
  profile: Profile,
  room: string,
  load: Load,
  isCutOff: boolean,
): Promise<Outcome> {
  let missing = -1;
  let isTold = false;
  const told = (anna: Person) => describeTold(anna).catch(() => 'the page is gone');
  try {
    const anna = await stage.arrive('Anna', { profile, room, isCutOff, expectTrouble: OF_THE_BROWSER });
    try {
      if (!isCutOff) await anna.waitUntilInSync(HEALED_WITHIN_MS);
      missing = await countMissing(anna, load);
      const after = await Load.start(anna, 'after');
      // What is damaged is found while it is read, and then a page without a network has no disk that it could name.
      await after.until(isCutOff ? 'applied' : 'relay', 5);
      await after.stop();
      if (isCutOff) anna.network.heal();
      const ben = await stage.arrive('Ben', { room });
      await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
      for (const person of [anna, ben]) await waitForAll(person, [load, after]);
      await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
      await ben.session.close();
      isTold = (await anna.status()).lastError !== null;
      return {
        how: missing === 0 ? 'whole' : 'healed',
        isTold,
        words: `${missing} missing, then none; ${await told(anna)}`,
      };
    } catch (error) {
      isTold = await anna.status().then(
        ({ sync, lastError }) => sync !== 'in-sync' || lastError !== null,
        () => true,
      );
      return { how: 'not healed', isTold, words: `${wordsOf(error)}; ${await told(anna)}` };
    }
  } catch (error) {
    return { how: 'not healed', isTold: true, words: `did not open: ${wordsOf(error)}` };
  }
}

async function waitForAll(person: Person, loads: readonly Load[]): Promise<void> {
  let missing = 0;
  await until(
    `${person.name} to have everything`,
    async () => {
      missing = 0;
      for (const load of loads) missing += await countMissing(person, load);
      return missing === 0;
    },
    { withinMs: HEALED_WITHIN_MS, explain: () => `${missing} missing` },
  );
}

/** Of the writes of a load that has ended. */
async function countMissing(person: Person, load: Load): Promise<number> {
  const found = await readLoad(person, load.mark);
  return load.streams.reduce((sum, stream) => {
    const { lost, holes, torn } = judge(load.at('written', stream), found[stream]);
    return sum + new Set([...lost, ...holes, ...torn]).size;
  }, 0);
}

async function describeTold(person: Person): Promise<string> {
  const { storage, sync, lastError } = await person.status();
  const repairs = await person.page.evaluate(() => mangrove.room.metrics().repairs);
  const counts = Object.entries(repairs).filter(([, count]) => count > 0);
  return JSON.stringify({ storage, sync, error: lastError?.code ?? null, ...Object.fromEntries(counts) });
}

function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}
