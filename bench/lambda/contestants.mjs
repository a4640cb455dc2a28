import { readFileSync } from 'node:fs';
import { fromRoot } from '../../scripts/lib/paths.mjs';
import { makeMicroPythonGuest } from '../../packages/lambda/dist/guests/micropython-guest.js';
import { makeQuickJsGuest } from '../../packages/lambda/dist/guests/quickjs-guest.js';
import { makeWasmGuest } from '../../packages/lambda/dist/guests/wasm-guest.js';
import { defaultLambdaLimits, MEMORY_PAGES_MAX } from '../../packages/lambda/dist/limits.js';
import { ENGINE_OPTIONS } from '../../packages/lambda/dist/meter/engine-options.js';
import { meterModule } from '../../packages/lambda/dist/meter/meter.js';
import { unmetered } from './unmetered.mjs';

/** Fields are added where they are numbers and the newest otherwise, and lists are united: by id here, in Rust by all that an item holds. */
const JS = `
function merge({ siblings }) {
  const merged = {};
  for (const { value } of siblings)
    for (const [name, field] of Object.entries(value)) {
      const newer = merged[name];
      if (newer === undefined) merged[name] = field;
      else if (typeof newer === 'number') merged[name] = newer + field;
      else if (Array.isArray(newer)) {
        const ids = new Set(newer.map(({ id }) => id));
        merged[name] = newer.concat(field.filter(({ id }) => !ids.has(id)));
      }
    }
  return merged;
}`;
const PYTHON = `
def merge(conflict):
    merged = {}
    for sibling in conflict["siblings"]:
        value = sibling["value"]
        for name in value:
            field = value[name]
            if name not in merged:
                merged[name] = field
            elif isinstance(field, (int, float)):
                merged[name] = merged[name] + field
            elif isinstance(field, list):
                ids = {item["id"] for item in merged[name]}
                merged[name] = merged[name] + [item for item in field if item["id"] not in ids]
    return merged
`;

const read = (path) => new Uint8Array(readFileSync(fromRoot(path)));
const text = (source) => new TextEncoder().encode(source);
const QUICKJS = 'node_modules/quickjs-wasi/quickjs.wasm';
const MICROPYTHON = 'node_modules/@micropython/micropython-webassembly-pyscript/micropython.wasm';
const RUST = 'test/support/lambda/rust/merge.wasm';
const MODULE_OPTIONS = { memoryPagesMax: MEMORY_PAGES_MAX, isStrict: true };

/** Each with the bytes of its engine and how a guest is made of them. `makeEngine` is what a build, or for Rust the registering worker, does. */
export const CONTESTANTS = {
  'JavaScript, metered': contestant(makeQuickJsGuest, () => meterModule(read(QUICKJS), ENGINE_OPTIONS.js), JS),
  'JavaScript, counting nothing': contestant(makeQuickJsGuest, () => unmetered(read(QUICKJS), ENGINE_OPTIONS.js), JS),
  'Python, metered': contestant(
    makeMicroPythonGuest,
    () => meterModule(read(MICROPYTHON), ENGINE_OPTIONS.python),
    PYTHON,
  ),
  'Python, counting nothing': contestant(
    makeMicroPythonGuest,
    () => unmetered(read(MICROPYTHON), ENGINE_OPTIONS.python),
    PYTHON,
  ),
  'Rust, metered': contestant(makeWasmGuest, () => meterModule(read(RUST), MODULE_OPTIONS), ''),
  'Rust, counting nothing': contestant(makeWasmGuest, () => unmetered(read(RUST), MODULE_OPTIONS), ''),
};

function contestant(makeGuest, makeEngine, source) {
  return {
    makeEngine,
    start: async (engine) => makeGuest(await WebAssembly.compile(engine), text(source), defaultLambdaLimits),
  };
}
