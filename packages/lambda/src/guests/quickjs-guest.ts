import { utf8ToBytes } from '@mangrove/protocol';
import { interrupt } from '../failure.js';
import { LambdaError } from '../lambda-error.js';
import type { LambdaLimits } from '../limits.js';
import type { MakeGuest } from './guest.js';
import { MeteredInstance } from './metered-instance.js';
import { type LoadedEngine, restoredGuest } from './restored-guest.js';
import { Snapshot } from './snapshot.js';

/** What the language brings, without what is not the same twice: `Date`, promises, weak references, `performance`. */
const INTRINSIC = {
  eval: 1 << 1,
  regExp: 1 << 2,
  json: 1 << 3,
  proxy: 1 << 4,
  mapSet: 1 << 5,
  typedArrays: 1 << 6,
  bigInt: 1 << 8,
};
const INTRINSICS = Object.values(INTRINSIC).reduce((all, bit) => all | bit, 0);

const HEAP_BYTES_MAX = 8 * 1024 * 1024;
/** The engine's own guard, which throws a RangeError that the lambda can catch. What passes by it meets the depth counter. */
const STACK_BYTES_MAX = 64 * 1024;
/** Allocated and freed before the snapshot, so that merges of common size do not grow the memory. */
const SPARE_BYTES = 1024 * 1024;

/** Runs before the lambda, so that its source cannot make use of randomness either. */
const BEFORE = 'delete Math.random;';
/** Runs after it: the one function that the host calls. `undefined`, which has no JSON, is the delete [LB1]. */
export const JS_PRELUDE =
  '(({ parse, stringify }) => (text) => { const value = merge(parse(text)); return value === undefined ? "" : stringify(value); })(JSON)';

/** QuickJS through its plain C exports. A value is a pointer to it on the heap. */
export const makeQuickJsGuest: MakeGuest = (module, source, limits) => {
  const engine = loadQuickJs(module, source, limits);
  return restoredGuest(engine, limits);
};

function loadQuickJs(module: WebAssembly.Module, source: Uint8Array, limits: LambdaLimits): LoadedEngine {
  const makeInstance = (): MeteredInstance => new MeteredInstance(module, importsFor);
  const instance = makeInstance();
  instance.grant(limits.loadFuel, limits.depthBytes);
  try {
    instance.call('_initialize');
    if (instance.call('qjs_init2', INTRINSICS) !== 0) throw interrupt('THREW', 'the engine did not start');
    instance.call('qjs_set_memory_limit', HEAP_BYTES_MAX);
    instance.call('qjs_set_max_stack_size', STACK_BYTES_MAX);
    instance.call('qjs_set_gc_threshold', -1);
    evaluate(instance, utf8ToBytes(BEFORE), 'before');
    evaluate(instance, source, 'lambda');
    const merge = evaluate(instance, utf8ToBytes(JS_PRELUDE), 'prelude');
    const self = instance.call('qjs_get_undefined');
    const words = allocate(instance, 8);
    instance.call('wasm_free', allocate(instance, SPARE_BYTES));
    const snapshot = new Snapshot(instance, (instance.exports.__stack_pointer as WebAssembly.Global<'i32'>).value);
    return {
      snapshot,
      first: instance,
      makeInstance,
      call: (ready, input) => call(ready, { merge, self, words }, input),
    };
  } catch (error) {
    throw new LambdaError('LAMBDA_INVALID', instance.failureOf(error).detail, { cause: error });
  }
}

/** Values that are in the snapshot: the function, its `this`, and room for two words. */
interface Handles {
  readonly merge: number;
  readonly self: number;
  readonly words: number;
}

function call(instance: MeteredInstance, { merge, self, words }: Handles, input: Uint8Array): Uint8Array<ArrayBuffer> {
  const [argument, lengthOut] = [words, words + 4];
  const text = place(instance, input);
  const string = instance.call('qjs_new_string', text, input.length);
  throwIfException(instance, string);
  instance.view.setUint32(argument, string, true);
  const result = instance.call('qjs_call', merge, self, 1, argument);
  throwIfException(instance, result);
  if (instance.call('qjs_is_string', result) === 0) throw interrupt('OUTPUT_INVALID', 'the result has no JSON');
  return stringToBytes(instance, result, lengthOut);
}

/** A copy of a string. Half of a surrogate pair comes out as three bytes that are no UTF-8, and is refused as such. */
function stringToBytes(instance: MeteredInstance, value: number, lengthOut: number): Uint8Array<ArrayBuffer> {
  const start = instance.call('qjs_get_string_len', value, lengthOut) >>> 0;
  if (start === 0) throw interrupt('THREW', 'out of memory');
  const length = instance.view.getUint32(lengthOut, true);
  return instance.bytes.slice(start, start + length);
}

function evaluate(instance: MeteredInstance, code: Uint8Array, name: string): number {
  const result = instance.call('qjs_eval', place(instance, code), code.length, place(instance, utf8ToBytes(name)), 0);
  throwIfException(instance, result);
  return result;
}

/** With a zero behind them, as C wants it. */
function place(instance: MeteredInstance, bytes: Uint8Array): number {
  const start = allocate(instance, bytes.length + 1);
  instance.bytes.set(bytes, start);
  instance.bytes[start + bytes.length] = 0;
  return start;
}

function allocate(instance: MeteredInstance, length: number): number {
  const start = instance.call('wasm_malloc', length) >>> 0;
  if (start === 0) throw interrupt('THREW', 'out of memory');
  return start;
}

function throwIfException(instance: MeteredInstance, value: number): void {
  if (value !== 0 && instance.call('qjs_is_exception', value) === 0) return;
  throw interrupt('THREW', describeException(instance));
}

/** For people only, so what cannot be described is not. */
function describeException(instance: MeteredInstance): string {
  const lengthOut = allocate(instance, 4);
  const bytes = stringToBytes(instance, instance.call('qjs_get_exception'), lengthOut);
  return new TextDecoder().decode(bytes.subarray(0, 500));
}

const SUCCESS = 0;
const NOT_SUPPORTED = 52;
const forbidden = (): never => {
  throw interrupt('FORBIDDEN', 'the lambda asked for something of the host');
};

/** Clock and randomness are zero, as the engine asks for both when it starts; output goes nowhere. */
function importsFor(instance: MeteredInstance): WebAssembly.Imports {
  return {
    env: {
      host_get_timezone_offset: () => 0,
      host_interrupt: () => 0,
      host_promise_rejection: () => undefined,
      host_module_normalize: forbidden,
      host_module_load: forbidden,
      host_call: forbidden,
    },
    wasi_snapshot_preview1: {
      clock_time_get: (_clock: number, _precision: bigint, out: number) => {
        instance.view.setBigUint64(out >>> 0, 0n, true);
        return SUCCESS;
      },
      random_get: (start: number, length: number) => {
        instance.bytes.fill(0, start >>> 0, (start >>> 0) + length);
        return SUCCESS;
      },
      fd_close: () => NOT_SUPPORTED,
      fd_fdstat_get: () => NOT_SUPPORTED,
      fd_seek: () => NOT_SUPPORTED,
      fd_write: () => NOT_SUPPORTED,
    },
  };
}
