import { describe, expect, test } from 'vitest';
import { needs } from '../../support/engines/abilities.js';
import { killTab } from '../../support/engines/chromium.js';
import { checkArrived, comeBack, look } from '../../support/faults/aftermath.js';
import { backends } from '../../support/faults/backends.js';
import type { Load } from '../../support/faults/load.js';
import { NO_DAMAGE, Tally } from '../../support/faults/tally.js';
import { oneOf, someTime, triesOf } from '../../support/faults/tries.js';
import { weatherOf, writeInTwoTabs } from '../../support/faults/two-tabs.js';
import type { Person } from '../../support/person.js';
import { setStage, waitUntilEqual } from '../../support/stage.js';

/** Of each kind, in each backend. */
const TRIES = triesOf({ usually: 2, long: 50 });
const TRY_MS_MAX = 60_000;
const HEALED_WITHIN_MS = 60_000;
/** From the last thing that is waited for to the kill, at most. */
const KILL_WITHIN_MS = 1_500;

const devtools = needs('devtools');

describe.each(backends)('a profile in $name', ({ name, openEngine, isIn }) => {
  const stage = setStage({ openEngine });

  test(
    `[E2E3] [JS1] ${TRIES} times the browser is killed while two tabs write: what was on disk is there, and nothing is half there`,
    async () => {
      const profile = await stage.newProfile();
      const tally = new Tally();
      let anna = await stage.arrive('Anna', { profile });
      for (; tally.tries < TRIES; tally.tries++) {
        const { loads } = await writeInTwoTabs(anna, `${tally.tries}`, weatherOf(tally.tries));
        await someTime(KILL_WITHIN_MS);
        await profile.kill();
        anna = await comeBack(stage, profile, loads, tally);
      }
      tally.say(`SIGKILL of the browser, ${name}`);
      expect(await isIn(profile.folder), `databases are in ${name}`).toBe(true);
      expect(tally.damage).toEqual(NO_DAMAGE);
    },
    TRIES * TRY_MS_MAX,
  );

  test.skipIf(devtools.isLacking)(
    `[E2E3] [JS1] ${TRIES} times the process of a tab is killed while it writes: the other one shows all that was applied, and goes on${devtools.why}`,
    async () => {
      const profile = await stage.newProfile();
      const tally = new Tally();
      const anna = await stage.arrive('Anna', { profile });
      const ben = await stage.arrive('Ben');
      for (; tally.tries < TRIES; tally.tries++) {
        const { tabs, loads } = await writeInTwoTabs(anna, `${tally.tries}`, tally.tries % 2 === 0 ? 'open' : 'cut');
        await someTime(KILL_WITHIN_MS);
        const killed = tabs.indexOf(await killTab(anna.session, oneOf(tabs), tabs));
        const [gone, going] = (killed === 0 ? loads : loads.toReversed()) as [Load, Load];
        anna.page = tabs[1 - killed] as Person['page'];
        await gone.isGone();
        await look(anna, gone, 'applied', tally);

        await going.until('disk', 5);
        anna.network.heal();
        await going.until('relay', 5);
        await going.stop();
        await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
        await checkArrived(ben, loads, tally);
      }
      tally.say(`SIGKILL of a tab, ${name}`);
      expect(tally.damage).toEqual(NO_DAMAGE);
    },
    TRIES * TRY_MS_MAX,
  );
});
