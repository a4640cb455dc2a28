import { readFile } from 'node:fs/promises';
import type { LoadEngine } from '../lambda.js';
import { ENGINE_URLS } from './engines.js';

/** For Node: from the package's folder. */
export const readEngine: LoadEngine = async (kind) => new Uint8Array(await readFile(ENGINE_URLS[kind]));
