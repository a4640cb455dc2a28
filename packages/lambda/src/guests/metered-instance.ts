import { type Failure, Interrupted } from '../failure.js';
import { METER_EXPORT } from '../meter/meter.js';

export const PAGE_BYTES = 64 * 1024;

/** An instance of a metered module, with its counters. */
export class MeteredInstance {
  readonly exports: WebAssembly.Exports;
  readonly memory: WebAssembly.Memory;
  readonly #fuel: WebAssembly.Global<'i32'>;
  readonly #depth: WebAssembly.Global<'i32'>;
  readonly #refused: WebAssembly.Global<'i32'>;
  #granted = 0;

  /** Host functions get the instance, which is not there yet when they are made. */
  constructor(module: WebAssembly.Module, importsFor: (instance: MeteredInstance) => WebAssembly.Imports = () => ({})) {
    this.exports = new WebAssembly.Instance(module, importsFor(this)).exports;
    this.memory = this.exports.memory as WebAssembly.Memory;
    this.#fuel = this.exports[METER_EXPORT.fuel] as WebAssembly.Global<'i32'>;
    this.#depth = this.exports[METER_EXPORT.depth] as WebAssembly.Global<'i32'>;
    this.#refused = this.exports[METER_EXPORT.refused] as WebAssembly.Global<'i32'>;
  }

  /** Before any export is called, were it only to allocate: an instance begins with nothing. */
  grant(fuel: number, depthBytes: number): void {
    this.#granted = fuel;
    this.#fuel.value = fuel;
    this.#depth.value = depthBytes;
    this.#refused.value = 0;
  }

  /** Since `grant`; what was granted, at most. */
  get fuelUsed(): number {
    return this.#granted - Math.max(0, this.#fuel.value);
  }

  /** What is left of the stack, for host functions that unwind it. */
  get depthLeft(): number {
    return this.#depth.value;
  }

  set depthLeft(bytes: number) {
    this.#depth.value = bytes;
  }

  /** Charges for what a host function does. The guest traps at its next charge where nothing is left. */
  charge(fuel: number): void {
    this.#fuel.value = Math.max(-1, this.#fuel.value - fuel);
  }

  call(name: string, ...args: readonly (number | bigint)[]): number {
    return (this.exports[name] as (...args: readonly (number | bigint)[]) => number)(...args);
  }

  /** Valid until the guest runs again: memory that grows is another buffer. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory.buffer as ArrayBuffer);
  }

  get view(): DataView<ArrayBuffer> {
    return new DataView(this.memory.buffer as ArrayBuffer);
  }

  /** Which failure an exception is that came out of the guest [LB8]. */
  failureOf(error: unknown): Failure {
    if (error instanceof Interrupted) return error.failure;
    const detail = error instanceof Error ? error.message : String(error);
    if (!(error instanceof WebAssembly.RuntimeError)) return hostFailure(error, detail);
    if (this.#refused.value !== 0) return { code: 'NO_MEMORY', detail };
    // The stack first: a frame that has none left is entered with its fuel already charged.
    if (this.#depth.value < 0) return { code: 'TOO_DEEP', detail: 'calls are nested too deep' };
    if (this.#fuel.value < 0) return { code: 'FUEL_OUT', detail: 'the fuel ran out' };
    return { code: 'TRAPPED', detail };
  }
}

/** A `RangeError`, in Firefox an `InternalError`, is how a host says that its own stack or memory has ended. */
function hostFailure(error: unknown, detail: string): Failure {
  const isStack = (error instanceof Error && error.name === 'InternalError') || /stack|recursion/i.test(detail);
  return { code: isStack ? 'HOST_STACK' : 'HOST_FAILED', detail };
}
