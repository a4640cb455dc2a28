import { expect, test } from 'vitest';
import { judgeOwner, lookAfterMs, type OwnerVerdict } from './silence.js';

type Look = 'on time' | 'a little late' | 'overslept' | 'clock set on' | 'clock set back' | 'clock set back a little';
type Unanswered = 'none' | 'some' | 'enough' | 'more';

const STEADY: Record<Unanswered, OwnerVerdict> = { none: 'ask', some: 'ask', enough: 'steal', more: 'steal' };
const ANEW: Record<Unanswered, OwnerVerdict> = {
  none: 'ask-anew',
  some: 'ask-anew',
  enough: 'ask-anew',
  more: 'ask-anew',
};
const VERDICTS: Record<Look, Record<Unanswered, OwnerVerdict>> = {
  'on time': STEADY,
  'a little late': STEADY,
  overslept: ANEW,
  'clock set on': ANEW,
  'clock set back': ANEW,
  'clock set back a little': ANEW,
};

const UNANSWERED: Record<Unanswered, number> = { none: 0, some: 4, enough: 5, more: 6 };
/** How long it took, for each ms that was meant. */
const TOOK: Record<Look, number> = {
  'on time': 1,
  'a little late': 2,
  overslept: 2.1,
  'clock set on': 3_600,
  'clock set back': -3_600,
  'clock set back a little': 0.4,
};

test('[JS10] an owner is taken to be frozen when it leaves five asks unanswered that were all made on time', () => {
  for (const isVisible of [true, false]) {
    const meantMs = lookAfterMs(isVisible);
    for (const look of Object.keys(VERDICTS) as Look[]) {
      for (const unanswered of Object.keys(UNANSWERED) as Unanswered[]) {
        const seen = { unanswered: UNANSWERED[unanswered], meantMs, tookMs: TOOK[look] * meantMs };
        expect(judgeOwner(seen), `${look}, ${unanswered}`).toBe(VERDICTS[look][unanswered]);
      }
    }
  }
});

test('[JS10] a tab in the background has asked once when one that is looked at has asked often enough', () => {
  expect(lookAfterMs(false)).toBeGreaterThanOrEqual(5 * lookAfterMs(true));
});
