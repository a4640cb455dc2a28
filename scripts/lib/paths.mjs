import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. Every script runs from there, wherever it was called. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export const fromRoot = (...parts) => join(root, ...parts);
