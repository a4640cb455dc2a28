import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { needs } from '../../support/engines/abilities.js';
import { comeBack } from '../../support/faults/aftermath.js';
import { chromiumBackends } from '../../support/faults/backends.js';
import { LoopDisk, whyNoLoopDisk } from '../../support/faults/loop-disk.js';
import { RelaxedWriter } from '../../support/faults/relaxed.js';
import { NO_DAMAGE, Tally } from '../../support/faults/tally.js';
import { oneOf, someTime, triesOf } from '../../support/faults/tries.js';
import { weatherOf, writeInTwoTabs } from '../../support/faults/two-tabs.js';
import { setStage } from '../../support/stage.js';

/** In each backend. */
const TRIES = triesOf({ usually: 2, long: 20 });
const TRY_MS_MAX = 90_000;
/** The file system writes by itself every five seconds: a cut comes before, between and after that. */
const CUT_WITHIN_MS = [1_500, 8_000] as const;

/** Of service workers: Chromium keeps its own books on them without a barrier. The page opens from the network then. */
const OF_THE_BROWSER = /Failed to access storage/;

const devtools = needs('devtools');
const whyNot = devtools.isLacking ? undefined : whyNoLoopDisk();
const why = devtools.why + (whyNot === undefined ? '' : ` [${whyNot}]`);

describe.skipIf(devtools.isLacking || whyNot !== undefined).each(chromiumBackends)(
  `a profile in $name on a disk${why}`,
  ({ name, openEngine, isIn }) => {
    const stage = setStage({ openEngine });

    test(
      `[E2E3] [JS1] [JS4] ${TRIES} times the power is cut while two tabs write: what was on disk is there, and nothing was sent that is not`,
      async () => {
        const tally = new Tally();
        let relaxed = { acknowledged: 0, lost: 0 };
        for (; tally.tries < TRIES; tally.tries++) {
          const disk = await LoopDisk.create();
          onTestFinished(() => disk.remove());
          const folder = join(disk.folder, 'profile');
          await mkdir(folder);
          const profile = await stage.newProfile(folder);
          const anna = await stage.arrive('Anna', { profile });
          const writer = await RelaxedWriter.start(anna.session);
          const { loads } = await writeInTwoTabs(anna, `${tally.tries}`, weatherOf(tally.tries));
          await someTime(oneOf(CUT_WITHIN_MS));
          await profile.kill();
          await disk.cutPower();

          const again = await comeBack(stage, profile, loads, tally, { expectTrouble: OF_THE_BROWSER });
          expect(await isIn(profile.folder), `databases are in ${name}`).toBe(true);
          relaxed = {
            acknowledged: relaxed.acknowledged + writer.acknowledged.size,
            lost: relaxed.lost + (await writer.countLost(again.session)),
          };
          await profile.close();
          await disk.remove();
        }
        tally.say(`power cut, ${name}`, `of relaxed ones beside them ${relaxed.lost} of ${relaxed.acknowledged} lost`);
        expect(tally.damage).toEqual(NO_DAMAGE);
        expect(relaxed.lost, 'the power was cut').toBeGreaterThan(0);
      },
      TRIES * TRY_MS_MAX,
    );
  },
);
