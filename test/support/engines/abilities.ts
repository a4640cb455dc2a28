/** What not every engine, or not its driver, can do: docs/engines.md has the same as a table for people. */
import type { EngineName } from './engine.js';
import { engineName } from './engines.js';

export type Ability = 'devtools' | 'memory of pages' | 'consumers of packages';

const LACKS: Readonly<Record<EngineName, Partial<Record<Ability, string>>>> = {
  chromium: {},
  firefox: {
    devtools: 'what is asked here only Chromium answers',
    'memory of pages': 'no driver tells what a page and its workers hold',
    'consumers of packages': 'it is about bundlers, and one engine is enough for that',
  },
  webkit: {
    devtools: 'what is asked here only Chromium answers',
    'memory of pages': 'no driver tells what a page and its workers hold',
    'consumers of packages': 'it is about bundlers, and one engine is enough for that',
  },
};

/** For a test that needs it: whether to skip it here, and what its title then says of why. */
export function needs(ability: Ability): { isLacking: boolean; why: string } {
  const reason = LACKS[engineName][ability];
  return { isLacking: reason !== undefined, why: reason === undefined ? '' : ` [not in ${engineName}: ${reason}]` };
}
