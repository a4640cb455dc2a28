import { ensureBrowser, findBrowser } from './ensure-browser.mjs';

export const findChromium = () => findBrowser('chromium');
export const ensureChromium = () => ensureBrowser('chromium');
