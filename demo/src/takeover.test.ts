import { expect, test } from 'vitest';
import { decideTakeover, type Takeover } from './takeover.ts';

const no = { isReady: true, isWanted: false, isUnsaved: false, isVisible: false };

test.each<[string, Partial<typeof no>, Takeover]>([
  ['there is no new version', { isReady: false, isWanted: true }, 'stay'],
  ['nothing is unsaved and nobody looks', {}, 'reload'],
  ['somebody looks', { isVisible: true }, 'ask'],
  ['something is unsaved', { isUnsaved: true }, 'ask'],
  ['the person says so', { isVisible: true, isWanted: true }, 'reload'],
  ['the person says so, whatever is unsaved', { isVisible: true, isUnsaved: true, isWanted: true }, 'reload'],
])('%s', (_, change, expected) => {
  expect(decideTakeover({ ...no, ...change })).toBe(expected);
});
