import { openChromium } from './chromium.js';
import type { Engine, EngineName } from './engine.js';
import { openFirefox } from './firefox.js';
import { openWebKit } from './webkit.js';

const ENGINES: Readonly<Record<EngineName, () => Engine>> = {
  chromium: openChromium,
  firefox: openFirefox,
  webkit: openWebKit,
};

/** The one that this run is about: `npm run test:browsers` runs the suite once for each. */
export const engineName = readName(process.env.MANGROVE_BROWSER ?? 'chromium');

export function openEngine(): Engine {
  return ENGINES[engineName]();
}

function readName(name: string): EngineName {
  if (!(name in ENGINES)) throw new Error(`MANGROVE_BROWSER is none of ${Object.keys(ENGINES).join(', ')}: ${name}`);
  return name as EngineName;
}
