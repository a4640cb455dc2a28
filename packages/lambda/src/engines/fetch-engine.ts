import type { LoadEngine } from '../lambda.js';
import { ENGINE_URLS } from './engines.js';

/** For browsers: from where the bundler has put the file. */
export const fetchEngine: LoadEngine = async (kind) => {
  const response = await fetch(ENGINE_URLS[kind]);
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};
