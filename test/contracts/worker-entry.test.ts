import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { expect, test } from 'vitest';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

interface Built {
  readonly fileName: string;
  readonly code?: string;
  readonly source?: string | Uint8Array;
}

test('no chunk of the worker imports the module that it is started with: WebKit would evaluate that twice', async () => {
  expect(readFileSync(path('../../packages/client/src/worker/entry.ts'), 'utf8')).not.toMatch(/^\s*import\s+[^(]/m);
  const result = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { alias: [{ find: /^@mangrove\/protocol$/, replacement: path('../../packages/protocol/src/index.ts') }] },
    worker: { format: 'es' },
    build: {
      write: false,
      minify: false,
      modulePreload: false,
      rolldownOptions: {
        input: { index: path('../../packages/client/src/index.ts') },
        preserveEntrySignatures: 'strict',
      },
    },
  });
  const { output } = result as unknown as { readonly output: readonly Built[] };
  const code = new Map(output.map(({ fileName, code, source }) => [fileName, code ?? String(source)]));
  const names = [...code.keys()].map((name) => name.replace(/^.*\//, ''));
  const entry = names.find((name) => name.startsWith('entry-'));
  expect(names.some((name) => name.startsWith('main-'))).toBe(true);
  expect(names.some((name) => name.startsWith('on-demand-'))).toBe(true);
  expect([...code.values()].filter((text) => text.includes(`from "./${entry}"`))).toEqual([]);
  expect(
    [...code.values()].some((text) => /from "\.\/main-/.test(text)),
    'how others are imported',
  ).toBe(true);
});
