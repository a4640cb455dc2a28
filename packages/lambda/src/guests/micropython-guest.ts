import { utf8ToBytes } from '@mangrove/protocol';
import { interrupt } from '../failure.js';
import { LambdaError } from '../lambda-error.js';
import type { LambdaLimits } from '../limits.js';
import type { MakeGuest } from './guest.js';
import type { MeteredInstance as Instance } from './metered-instance.js';
import { MeteredInstance } from './metered-instance.js';
import { micropythonImports } from './micropython-imports.js';
import { type LoadedEngine, restoredGuest } from './restored-guest.js';
import { Snapshot } from './snapshot.js';

const PYSTACK_WORDS = 2048;
/** Of the first heap; it grows by more of them until the memory ends. */
const HEAP_BYTES = 256 * 1024;
const SPARE_BYTES = 512 * 1024;

/** Runs before the lambda: what `merge` returns for a delete [LB1]. */
const BEFORE = 'DELETED = object()\n';
/** Runs after it: the one function that the host calls. */
export const PYTHON_PRELUDE = `
import json as _json
def _merge(text, _loads=_json.loads, _dumps=_json.dumps):
    value = merge(_loads(text))
    return "" if value is DELETED else _dumps(value)
`;

/** How values cross: three words, of which the first is a kind. */
const VALUE_BYTES = 12;
const FROM_PYTHON = { exception: -1, string: 5, callable: 6 } as const;
const TO_PYTHON = { string: 5 } as const;

/** MicroPython through the exports of its web port, without the port's own JavaScript, which would hand it the host. */
export const makeMicroPythonGuest: MakeGuest = (module, source, limits) =>
  restoredGuest(loadMicroPython(module, source, limits), limits);

function loadMicroPython(module: WebAssembly.Module, source: Uint8Array, limits: LambdaLimits): LoadedEngine {
  const makeInstance = (): Instance => new MeteredInstance(module, micropythonImports);
  const instance = makeInstance();
  instance.grant(limits.loadFuel, limits.depthBytes);
  try {
    instance.call('emscripten_stack_init');
    instance.call('__wasm_call_ctors');
    instance.call('mp_js_init', PYSTACK_WORDS, HEAP_BYTES);
    instance.call('proxy_c_init');
    const out = allocate(instance, 2 * VALUE_BYTES);
    execute(instance, utf8ToBytes(BEFORE), out);
    execute(instance, source, out);
    execute(instance, utf8ToBytes(PYTHON_PRELUDE), out);
    const merge = lookUp(instance, '_merge', out);
    instance.call('free', allocate(instance, SPARE_BYTES));
    const snapshot = new Snapshot(instance, 0);
    return { snapshot, first: instance, makeInstance, call: (ready, input) => call(ready, merge, out, input) };
  } catch (error) {
    throw new LambdaError('LAMBDA_INVALID', instance.failureOf(error).detail, { cause: error });
  }
}

function call(instance: Instance, merge: number, out: number, input: Uint8Array): Uint8Array<ArrayBuffer> {
  const argument = out + VALUE_BYTES;
  const text = place(instance, input);
  const { view } = instance;
  view.setInt32(argument, TO_PYTHON.string, true);
  view.setInt32(argument + 4, input.length, true);
  view.setInt32(argument + 8, text, true);
  instance.call('proxy_c_to_js_call', merge, 1, argument, out);
  if (kindOf(instance, out) !== FROM_PYTHON.string) throw interrupt('OUTPUT_INVALID', 'the result has no JSON');
  return stringToBytes(instance, out);
}

function execute(instance: Instance, source: Uint8Array, out: number): void {
  const start = place(instance, source);
  instance.call('mp_js_do_exec', start, source.length, out);
  kindOf(instance, out);
  instance.call('free', start);
}

/** A global of the module that sources run in, as the number under which it is called. */
function lookUp(instance: Instance, name: string, out: number): number {
  instance.call('mp_js_do_import', place(instance, utf8ToBytes('__main__')), out);
  kindOf(instance, out);
  const main = instance.view.getUint32(out + 4, true);
  instance.call('proxy_c_to_js_lookup_attr', main, place(instance, utf8ToBytes(name)), out);
  if (kindOf(instance, out) !== FROM_PYTHON.callable) throw interrupt('THREW', `${name} is not a function`);
  return instance.view.getUint32(out + 4, true);
}

/** The kind of what a call has left at `out`. Throws `THREW` for an exception. */
function kindOf(instance: Instance, out: number): number {
  const kind = instance.view.getInt32(out, true);
  if (kind !== FROM_PYTHON.exception) return kind;
  // The type's name, a byte 4, and the traceback.
  const [, traceback = ''] = new TextDecoder().decode(stringToBytes(instance, out)).split('\x04');
  throw interrupt('THREW', traceback.trim().split('\n').at(-1)?.slice(0, 500) ?? '');
}

function stringToBytes(instance: Instance, out: number): Uint8Array<ArrayBuffer> {
  const length = instance.view.getUint32(out + 4, true);
  const start = instance.view.getUint32(out + 8, true);
  return instance.bytes.slice(start, start + length);
}

function place(instance: Instance, bytes: Uint8Array): number {
  const start = allocate(instance, bytes.length + 1);
  instance.bytes.set(bytes, start);
  instance.bytes[start + bytes.length] = 0;
  return start;
}

function allocate(instance: Instance, length: number): number {
  const start = instance.call('malloc', length) >>> 0;
  if (start === 0) throw interrupt('THREW', 'out of memory');
  return start;
}
