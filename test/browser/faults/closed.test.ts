import { describe, expect, test } from 'vitest';
import { needs } from '../../support/engines/abilities.js';
import { checkArrived } from '../../support/faults/aftermath.js';
import { chromiumBackends } from '../../support/faults/backends.js';
import { CLOSES } from '../../support/faults/closes.js';
import { addCounts, countHandles, type HandleCounts } from '../../support/faults/handles.js';
import { Load } from '../../support/faults/load.js';
import { Tally } from '../../support/faults/tally.js';
import { someTime, triesOf } from '../../support/faults/tries.js';
import { setStage, waitUntilEqual } from '../../support/stage.js';

/** In each backend. */
const TRIES = triesOf({ usually: 3, long: 50 });
const TRY_MS_MAX = 60_000;
const MOVED_WITHIN_MS = 15_000;
const HEALED_WITHIN_MS = 60_000;

const devtools = needs('devtools');
const kinds = Object.entries(CLOSES);

describe.skipIf(devtools.isLacking).each(chromiumBackends)(
  `a profile in $name${devtools.why}`,
  ({ name, openEngine }) => {
    const stage = setStage({ openEngine });

    test(
      `[JS8] ${TRIES} times the database is taken from under a page that writes: nothing acknowledged is lost, and no dead connection is asked twice`,
      async () => {
        const tally = new Tally();
        const handles: HandleCounts = { asked: 0, refused: 0, retries: 0 };
        const anna = await stage.arrive('Anna', { profile: await stage.newProfile() });
        anna.expectNetworkTrouble();
        const ben = await stage.arrive('Ben');
        for (; tally.tries < TRIES; tally.tries++) {
          await anna.waitUntilInSync(HEALED_WITHIN_MS);
          expect((await anna.status()).storage, 'each visit has a database').toBe('indexeddb');
          const readHandles = await countHandles(anna.page);
          const load = await Load.start(anna, `${tally.tries}`);
          await load.until('relay', 3);
          // What no relay has yet goes along.
          if (tally.tries % 2 === 1) anna.network.cut();
          await load.until('disk', 3);
          await someTime(300);
          const [kind, close] = kinds[tally.tries % kinds.length] as (typeof kinds)[number];
          await close(anna);
          await anna.waitForStatus(
            `told of the ${kind} database`,
            ({ storage }) => storage === 'lost',
            MOVED_WITHIN_MS,
          );
          await load.until('written', 5);
          await load.stop();
          anna.network.heal();
          await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
          await checkArrived(ben, [load], tally);
          tally.acknowledged += load.count('disk');
          tally.underWay += load.count('written') - load.count('disk');
          addCounts(handles, await readHandles());
          await anna.reload();
        }
        const { asked, refused, retries } = handles;
        tally.say(`forced closes, ${name}`, `transactions ${asked}, refused ${refused}, asked again ${retries}`);
        // A put that was refused leaves a hole, and its caller knows.
        const { lost, torn } = tally;
        expect(asked).toBeGreaterThan(0);
        expect({ lost, torn, retries }).toEqual({ lost: [], torn: [], retries: 0 });
      },
      TRIES * TRY_MS_MAX,
    );
  },
);
