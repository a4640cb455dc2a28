import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'vitest';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import { makeEd25519Vectors } from './ed25519.js';
import { goldenFile, goldenFolder, makeGolden } from './golden.js';
import { goldenMessages } from './messages.js';
import { vectorFolder, vectorMakers } from './vectors.js';

/**
 * Writes the files that pin bytes, from fixed inputs: `MAKE_VECTORS=1 npx vitest run --project unit test/interop`. Not part of a
 * test run: whoever writes them anew changes what the wire means, and bumps PROTOCOL_VERSION.
 */
const isAsked = process.env.MAKE_VECTORS === '1';

test.runIf(isAsked)('writes ed25519.json', () => {
  writeFileSync(new URL('./ed25519.json', import.meta.url), `${JSON.stringify(makeEd25519Vectors(), null, 2)}\n`);
});

test.runIf(isAsked)('writes the golden bytes of each message', () => {
  mkdirSync(goldenFolder, { recursive: true });
  for (const kind of Object.keys(goldenMessages) as Message['kind'][])
    writeFileSync(goldenFile(kind), `${JSON.stringify(makeGolden(kind), null, 2)}\n`);
});

test.runIf(isAsked)('writes the vectors', () => {
  mkdirSync(vectorFolder, { recursive: true });
  for (const [name, make] of Object.entries(vectorMakers))
    writeFileSync(new URL(`${name}.json`, vectorFolder), `${JSON.stringify(make(), null, 1)}\n`);
});
