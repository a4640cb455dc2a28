import { firefox } from 'playwright-core';
import { requireBrowser } from '../../../scripts/lib/ensure-browser.mjs';
import type { Engine } from './engine.js';
import { PlaywrightEngine } from './playwright-engine.js';

/** Firefox as it is shipped, which is driven by WebDriver BiDi. */
export function openFirefox(): Engine {
  return new PlaywrightEngine({
    name: 'firefox',
    networkTrouble: /connection to (?:the server at )?wss?:\S+|connection to wss?:.* was interrupted/,
    type: firefox,
    launch: { channel: 'moz-firefox', executablePath: requireBrowser('firefox'), headless: true },
    lock: 'lock',
    isFocusReal: true,
  });
}
