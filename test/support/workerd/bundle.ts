import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** One module for workerd, of an entry beside this file. `sources`: of what is not built yet, with Vitest's words for tests in it. */
export async function bundleWorker(entry: string, { sources = false } = {}): Promise<string> {
  const alias = [
    { find: /^vitest$/, replacement: path('./vitest-in-worker.ts') },
    { find: /^@mangrove\/protocol$/, replacement: path('../../../packages/protocol/src/index.ts') },
  ];
  const result = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { alias: sources ? alias : [], conditions: ['workerd', 'worker', 'import', 'default'] },
    ssr: { target: 'webworker', noExternal: true },
    build: {
      write: false,
      ssr: true,
      minify: false,
      target: 'es2023',
      rolldownOptions: { input: path(`./${entry}`), external: [/^node:/, /^cloudflare:/] },
    },
  });
  const { output } = Array.isArray(result)
    ? (result[0] as never)
    : (result as { output: readonly { code?: string }[] });
  return output[0]?.code ?? '';
}
