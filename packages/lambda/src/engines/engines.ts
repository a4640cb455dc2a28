import type { EngineKind } from '../lambda.js';

/** Beside the compiled modules, whether it is they that run or the sources: `npm run build` puts the metered engines there. */
export const ENGINE_URLS: Record<EngineKind, URL> = {
  js: new URL('../../dist/engines/quickjs.wasm', import.meta.url),
  python: new URL('../../dist/engines/micropython.wasm', import.meta.url),
};
