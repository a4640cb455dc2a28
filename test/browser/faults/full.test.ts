import { describe, expect, test } from 'vitest';
import { needs } from '../../support/engines/abilities.js';
import { chromiumContext } from '../../support/engines/chromium.js';
import { checkArrived, comeBack } from '../../support/faults/aftermath.js';
import { chromiumBackends } from '../../support/faults/backends.js';
import { Load } from '../../support/faults/load.js';
import { NO_DAMAGE, Tally } from '../../support/faults/tally.js';
import { someTime, triesOf } from '../../support/faults/tries.js';
import { fillDisk, Quota } from '../../support/quota.js';
import { setStage, waitUntilEqual } from '../../support/stage.js';

/** In each backend; of two tries one ends with room, and one with a kill. */
const TRIES = triesOf({ usually: 2, long: 10 });
const TRY_MS_MAX = 90_000;
const QUOTA_BYTES = 5_000_000;
const HEALED_WITHIN_MS = 60_000;

const devtools = needs('devtools');

describe.skipIf(devtools.isLacking).each(chromiumBackends)(
  `a profile in $name with a quota${devtools.why}`,
  ({ name, openEngine }) => {
    const stage = setStage({ openEngine });

    test(
      `[JS7] ${TRIES} times the disk fills under a page that writes: what was said to be on it is, also where the browser is killed then`,
      async () => {
        const tally = new Tally();
        const keptAfterMs: number[] = [];
        for (; tally.tries < TRIES; tally.tries++) {
          let quota: Quota | undefined;
          const profile = await stage.newProfile();
          const anna = await stage.arrive('Anna', {
            profile,
            prepare: async (session, origin) => {
              quota = await Quota.limit(chromiumContext(session), origin, QUOTA_BYTES);
            },
          });
          const load = await Load.start(anna, `${tally.tries}`);
          await load.until('relay', 5);
          await fillDisk(anna);
          const full = await anna.waitForStatus('told that it is full', ({ storage }) => storage === 'full');
          expect(full.lastError).toMatchObject({ code: 'STORAGE_FULL', retryable: true });
          await load.until('written', 10);
          await someTime(500);
          if (tally.tries % 2 === 0) {
            const roomAtMs = Date.now();
            await quota?.lift();
            await anna.waitForStatus('on disk', ({ storage }) => storage === 'indexeddb');
            keptAfterMs.push(Date.now() - roomAtMs);
            await load.until('relay', 5);
            await load.stop();
            const ben = await stage.arrive('Ben');
            await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
            await checkArrived(ben, [load], tally);
            tally.acknowledged += load.count('disk');
            tally.underWay += load.count('written') - load.count('disk');
            await ben.session.close();
          } else {
            await profile.kill();
            await comeBack(stage, profile, [load], tally);
          }
          await profile.close();
        }
        tally.say(`full disk, ${name}`, `kept ${keptAfterMs.join(', ')} ms after there was room`);
        expect(tally.damage).toEqual(NO_DAMAGE);
      },
      TRIES * TRY_MS_MAX,
    );
  },
);
