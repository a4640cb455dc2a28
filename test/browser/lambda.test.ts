import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Decision } from '@mangrove/lambda';
import { build, preview, type PreviewServer } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Session } from '../support/engines/engine.js';
import { openEngine } from '../support/engines/engines.js';
import { JS_MERGE } from '../support/lambda/js-merge.js';
import { PINNED } from '../support/lambda/pinned.js';
import { PYTHON_MERGE } from '../support/lambda/python-merge.js';
import { until } from '../support/until.js';

const LAMBDA = fileURLToPath(new URL('../../packages/lambda/dist/index.js', import.meta.url));
/** As strict as a page can be that runs WebAssembly. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src data:";
const BUILT_WITHIN_MS = 120_000;

const PAGE =
  '<!doctype html><title>An app</title><link rel="icon" href="data:," /><script type="module" src="/main.js"></script>';
const MAIN = `
import { openSandbox } from '@mangrove/lambda';
globalThis.mergeBy = async (kind, source) => {
  const sandbox = await openSandbox({ kind, code: new TextEncoder().encode(source) });
  const sibling = (value, writtenAt) => ({ replica: 'aa', writtenAt, value, bytes: new Uint8Array() });
  const decision = await sandbox.merge({ collection: 'c', id: 'i', siblings: [sibling({ n: 1 }, 1), sibling({ n: 2 }, 2)] });
  sandbox.close();
  return { id: sandbox.id, decision };
};`;

declare global {
  var mergeBy: ((kind: string, source: string) => Promise<{ id: string; decision: Decision }>) | undefined;
}

const engine: Engine = openEngine();
let session: Session;
let root: string;
let server: PreviewServer;
const troubles: string[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mangrove-lambda-app-'));
  await writeFile(join(root, 'index.html'), PAGE);
  await writeFile(join(root, 'main.js'), MAIN);
  const config = {
    root,
    configFile: false,
    logLevel: 'error',
    resolve: { alias: { '@mangrove/lambda': LAMBDA } },
    worker: { format: 'es' },
    preview: { port: 0, host: '127.0.0.1', headers: { 'content-security-policy': POLICY } },
  } as const;
  await build(config);
  server = await preview(config);
  session = await engine.open();
  session.onTrouble = (words) => troubles.push(words);
}, BUILT_WITHIN_MS);
afterAll(async () => {
  await session?.close();
  await engine.close();
  await server?.close();
  if (root !== undefined) await rm(root, { recursive: true, force: true });
});

test('[LB7, LB8] the package in an app that Vite has built, under a strict policy: its worker, its engines, the pinned ids', async () => {
  const tab = await session.openTab();
  await tab.goto(server.resolvedUrls?.local[0] as string);
  await until('the page', () => tab.evaluate(() => globalThis.mergeBy !== undefined));
  for (const [kind, source] of [
    ['js', JS_MERGE],
    ['python', PYTHON_MERGE],
  ] as const) {
    const { id, decision } = await tab.evaluate(
      ({ kind, source }) => (globalThis.mergeBy as NonNullable<typeof globalThis.mergeBy>)(kind, source),
      { kind, source },
    );
    expect(id).toBe(PINNED.ids[kind]);
    expect(decision).toMatchObject({ by: 'lambda', value: { n: 3 } });
  }
  expect(troubles).toEqual([]);
});
