// Meters the engines of the development dependencies and puts them, with their licences, into dist/engines/. Runs after tsc, whose output does it.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('..', import.meta.url));
const { ENGINE_OPTIONS } = await import('../dist/meter/engine-options.js');
const { meterModule } = await import('../dist/meter/meter.js');

// What was looked at and measured. Another engine is another lambda id for every lambda of its language.
const ENGINES = [
  {
    kind: 'js',
    file: 'quickjs.wasm',
    from: 'quickjs-wasi',
    sha256: 'd4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9',
  },
  {
    kind: 'python',
    file: 'micropython.wasm',
    from: '@micropython/micropython-webassembly-pyscript',
    sha256: '06338c955b03c5700aa0069015d3e392d76836ef8e2ce25bedbe59b88ccd373c',
  },
];

mkdirSync(join(folder, 'dist/engines'), { recursive: true });
for (const { kind, file, from, sha256 } of ENGINES) {
  const bytes = new Uint8Array(readFileSync(join(packageFolder(from), file)));
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256) throw new Error(`${from}/${file} is not the one that was looked at: ${found}`);
  writeIfChanged(join(folder, 'dist/engines', file), meterModule(bytes, ENGINE_OPTIONS[kind]));
}
writeIfChanged(join(folder, 'dist/engines/NOTICE.md'), readFileSync(join(folder, 'NOTICE.md')));

function packageFolder(name) {
  for (const path of createRequire(import.meta.url).resolve.paths(name)) {
    if (existsSync(join(path, name, 'package.json'))) return join(path, name);
  }
  throw new Error(`${name} is not installed in any node_modules above ${dirname(folder)}`);
}

/** A file that stays as it was is not built upon anew. */
function writeIfChanged(path, bytes) {
  if (existsSync(path) && Buffer.from(bytes).equals(readFileSync(path))) return;
  writeFileSync(path, bytes);
}
