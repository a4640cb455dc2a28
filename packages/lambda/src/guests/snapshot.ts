import { METER_EXPORT } from '../meter/meter.js';
import { type MeteredInstance, PAGE_BYTES } from './metered-instance.js';

/**
 * The state of an engine that has loaded a lambda: its memory and all its mutable globals. Tables are not among it, as no engine here
 * changes them.
 */
export class Snapshot {
  readonly #memory: Uint8Array;
  readonly #globals: readonly (readonly [name: string, value: number])[];

  /**
   * `memoryFrom` is where it begins to be worth keeping: below the stack pointer lies the stack that is not in use, of which nothing is read
   * before it is written.
   */
  constructor(
    instance: MeteredInstance,
    readonly memoryFrom: number,
  ) {
    this.#memory = instance.bytes.slice();
    this.#globals = globalNames(instance).map((name) => [name, globalOf(instance, name).value]);
  }

  /** Whether the memory is as large as it was. What has grown cannot shrink: that instance is of no use any more. */
  fits(instance: MeteredInstance): boolean {
    return instance.memory.buffer.byteLength === this.#memory.length;
  }

  /** Into an instance that fits. */
  restore(instance: MeteredInstance): void {
    instance.bytes.set(this.#memory.subarray(this.memoryFrom), this.memoryFrom);
    for (const [name, value] of this.#globals) globalOf(instance, name).value = value;
  }

  /** Into a new instance, whose memory is as small as the module declares it. Throws a `RangeError` where the host has no memory. */
  restoreInto(instance: MeteredInstance): void {
    const missing = this.#memory.length - instance.memory.buffer.byteLength;
    if (missing > 0) instance.memory.grow(missing / PAGE_BYTES);
    instance.bytes.set(this.#memory);
    this.restore(instance);
  }
}

function globalNames(instance: MeteredInstance): readonly string[] {
  return Object.keys(instance.exports).filter((name) => name.startsWith(METER_EXPORT.global));
}

function globalOf(instance: MeteredInstance, name: string): WebAssembly.Global<'i32'> {
  return instance.exports[name] as WebAssembly.Global<'i32'>;
}
