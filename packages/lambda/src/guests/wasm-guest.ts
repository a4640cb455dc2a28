import { interrupt } from '../failure.js';
import type { MakeGuest } from './guest.js';
import { MeteredInstance } from './metered-instance.js';
import { checked, failed, tooLarge } from './restored-guest.js';

/**
 * A module with the ABI of lambdas [LB4]: `alloc(bytes) → pointer` and `merge(pointer, bytes) → i64`, whose low half is a pointer and whose
 * high half a length. A new instance for each run: what a module hides in its globals and tables cannot be reset from outside.
 */
export const makeWasmGuest: MakeGuest = (module, _source, limits) => ({
  run(input) {
    if (input.length > limits.inputBytes) return tooLarge(input.length, limits);
    let instance: MeteredInstance;
    try {
      instance = new MeteredInstance(module);
    } catch (error) {
      return failed(instantiation(error), 0);
    }
    instance.grant(limits.fuel, limits.depthBytes);
    try {
      return checked(call(instance, input), instance.fuelUsed, limits);
    } catch (error) {
      return failed(instance.failureOf(error), instance.fuelUsed);
    }
  },
});

function call(instance: MeteredInstance, input: Uint8Array): Uint8Array<ArrayBuffer> {
  if (instance.exports._initialize !== undefined) instance.call('_initialize');
  const pointer = instance.call('alloc', input.length) >>> 0;
  if (pointer + input.length > instance.bytes.length)
    throw interrupt('TRAPPED', 'alloc returned a place outside of the memory');
  instance.bytes.set(input, pointer);
  const merge = instance.exports.merge as (pointer: number, length: number) => bigint;
  const result = BigInt.asUintN(64, merge(pointer, input.length));
  const start = Number(result & 0xffff_ffffn);
  const length = Number(result >> 32n);
  if (start + length > instance.bytes.length)
    throw interrupt('OUTPUT_INVALID', 'the result lies outside of the memory');
  return instance.bytes.slice(start, start + length);
}

/** Segments that do not fit trap in every host alike; memory or stack that the host has not is another matter. */
function instantiation(error: unknown): { code: 'TRAPPED' | 'NO_MEMORY'; detail: string } {
  const isTrap = error instanceof WebAssembly.RuntimeError;
  return { code: isTrap ? 'TRAPPED' : 'NO_MEMORY', detail: String(error) };
}
