import { interrupt } from '../failure.js';
import { MEMORY_PAGES_MAX } from '../limits.js';
import { GROW_FUEL, PAGE_FUEL } from '../meter/helpers.js';
import { type MeteredInstance, PAGE_BYTES } from './metered-instance.js';

/** How C code unwinds: thrown by the port's `longjmp`, caught by the `invoke_…` that called what is left. */
const LONGJMP = Symbol('longjmp');
/** The stack pointer is the first mutable global of the module, which has no other. */
const STACK_POINTER = 'mangrove:global:0';
const NOT_SUPPORTED = 52;
const NOTHING_EXISTS = -1;

/** What the port calls by name to reach JavaScript, all of it absent here. */
const FORBIDDEN = [
  ...['mp_js_random_u32', 'mp_js_ticks_ms', 'mp_js_time_ms', 'call0', 'call0_kwarg', 'call1', 'call2', 'calln'],
  ...['calln_kwarg', 'lookup_attr', 'store_attr', 'has_attr', 'js_subscr_load', 'js_subscr_store', 'js_get_iter'],
  ...['js_iter_next', 'js_reflect_construct', 'js_get_error_info', 'js_get_proxy_js_ref_info', 'create_promise'],
  ...['js_then_resolve', 'js_then_reject', 'js_then_continue', '_abort_js'],
  'proxy_convert_mp_to_js_then_js_to_mp_obj_jsside',
  'proxy_convert_mp_to_js_then_js_to_js_then_js_to_mp_obj_jsside',
];
const SYSTEM_CALLS = ['chdir', 'getcwd', 'mkdirat', 'openat', 'poll', 'getdents64', 'renameat', 'rmdir'];
const FILE_CALLS = ['fstat64', 'stat64', 'newfstatat', 'lstat64', 'statfs64', 'unlinkat'];
const INVOKES = ['v', 'vi', 'vii', 'viii', 'viiii', 'i', 'ii', 'iii', 'iiii', 'iiiii', 'iiiiii'];

/**
 * The world as MicroPython sees it: there is no file, no output, and whoever asks for a clock, randomness or JavaScript ends the merge, so that
 * its author notices.
 */
export function micropythonImports(instance: MeteredInstance): WebAssembly.Imports {
  const forbidden = (name: string) => (): never => {
    throw interrupt('FORBIDDEN', `the lambda asked for something of the host (${name})`);
  };
  const notSupported = (): number => -NOT_SUPPORTED;
  return {
    env: {
      ...Object.fromEntries(FORBIDDEN.map((name) => [name, forbidden(name)])),
      ...Object.fromEntries([...SYSTEM_CALLS, ...FILE_CALLS].map((name) => [`__syscall_${name}`, notSupported])),
      ...invokes(instance),
      js_check_existing: () => NOTHING_EXISTS,
      proxy_js_free_obj: () => undefined,
      emscripten_resize_heap: (bytes: number) => resize(instance, bytes >>> 0),
      _emscripten_throw_longjmp: () => {
        throw LONGJMP;
      },
    },
    wasi_snapshot_preview1: {
      fd_close: () => NOT_SUPPORTED,
      fd_sync: () => NOT_SUPPORTED,
      fd_seek: () => NOT_SUPPORTED,
      fd_read: () => NOT_SUPPORTED,
      fd_write: (_file: number, parts: number, count: number, written: number) => {
        const { view } = instance;
        let bytes = 0;
        for (let i = 0; i < count; i += 1) bytes += view.getUint32((parts >>> 0) + 8 * i + 4, true);
        view.setUint32(written >>> 0, bytes, true);
        return 0;
      },
    },
  };
}

/** Calls through the table, which may be unwound: then the stack pointer and the budget are what they were before. */
function invokes(instance: MeteredInstance): Record<string, (index: number, ...args: readonly number[]) => unknown> {
  const functions: ((...args: readonly number[]) => unknown)[] = [];
  const invoke = (index: number, ...args: readonly number[]): unknown => {
    const stackPointer = instance.exports[STACK_POINTER] as WebAssembly.Global<'i32'>;
    const [pointer, depth] = [stackPointer.value, instance.depthLeft];
    // What a table gives out is a function made anew, which is slow.
    functions[index] ??= (instance.exports.__indirect_function_table as WebAssembly.Table).get(index);
    try {
      return (functions[index] as (...args: readonly number[]) => unknown)(...args);
    } catch (error) {
      if (error !== LONGJMP) throw error;
      stackPointer.value = pointer;
      instance.depthLeft = depth;
      instance.call('setThrew', 1, 0);
      return 0;
    }
  };
  return Object.fromEntries(INVOKES.map((signature) => [`invoke_${signature}`, invoke]));
}

/** Grows the memory to so many bytes: 1, or 0 where the limits do not allow it. Charged as growing is [LB2]. */
function resize(instance: MeteredInstance, bytes: number): 0 | 1 {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  if (pages > MEMORY_PAGES_MAX) return 0;
  const missing = pages - instance.memory.buffer.byteLength / PAGE_BYTES;
  instance.charge(GROW_FUEL + PAGE_FUEL * Math.max(0, missing));
  try {
    if (missing > 0) instance.memory.grow(missing);
    return 1;
  } catch {
    throw interrupt('NO_MEMORY', 'the host has no memory');
  }
}
