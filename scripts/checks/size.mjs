import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { fromRoot } from '../lib/paths.mjs';

// What an application brings itself: an editor binding already loads them.
const EXTERNAL = /^(yjs|y-protocols)(\/|$)/;

/** Bundles each entry of size-budget.json as an application would, an engine apart, and compares its gzipped size with its budget. */
export async function checkSize() {
  const budget = JSON.parse(readFileSync(fromRoot('scripts/size-budget.json'), 'utf8'));
  const lines = [];
  let isOk = true;
  for (const [name, { entry, gzipBytesMax }] of Object.entries(budget)) {
    const { bytes, gzipBytes } = await measure(fromRoot(entry));
    if (gzipBytes > gzipBytesMax) isOk = false;
    const size = `${name} ${kilobytes(gzipBytes)} of ${kilobytes(gzipBytesMax)} gzipped (${kilobytes(bytes)} minified)`;
    lines.push(gzipBytes > gzipBytesMax ? `${size}: over the budget` : size);
  }
  return { isOk, summary: lines.join(', '), output: `${lines.join('\n')}\n` };
}

async function measure(entry) {
  if (entry.endsWith('.wasm')) {
    const engine = readFileSync(entry);
    return { bytes: engine.byteLength, gzipBytes: gzipSync(engine, { level: 9 }).byteLength };
  }
  const { build } = await import('vite');
  const { output } = await build({
    configFile: false,
    logLevel: 'error',
    root: fromRoot('packages/client'),
    worker: { format: 'es' },
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      target: 'es2023',
      rolldownOptions: { input: { entry }, external: EXTERNAL, preserveEntrySignatures: 'strict' },
    },
  });
  const chunks = loadedWithEntry(output);
  return {
    bytes: sum(chunks.map((chunk) => Buffer.byteLength(chunk.code))),
    gzipBytes: sum(chunks.map((chunk) => gzipSync(chunk.code, { level: 9 }).byteLength)),
  };
}

/** The entry and what it imports statically; a worker or a dynamic import is loaded beside it and has its own size. */
function loadedWithEntry(output) {
  const chunkByName = new Map(output.filter(({ type }) => type === 'chunk').map((chunk) => [chunk.fileName, chunk]));
  const loaded = new Set();
  const visit = (chunk) => {
    if (!chunk || loaded.has(chunk)) return;
    loaded.add(chunk);
    for (const name of chunk.imports) visit(chunkByName.get(name));
  };
  visit(output.find((chunk) => chunk.type === 'chunk' && chunk.isEntry));
  return [...loaded];
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} kB`;
