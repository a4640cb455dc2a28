import wabt from 'wabt';
import { beforeAll, describe, expect, test } from 'vitest';
import { interrupt } from '../failure.js';
import { FUEL_MAX, MEMORY_PAGES_MAX } from '../limits.js';
import { meterModule } from '../meter/meter.js';
import { MeteredInstance } from './metered-instance.js';

const WAT = `(module (memory (export "memory") 1)
  (func $deep (export "deep") (call $deep))
  (func (export "loop") (loop br 0))
  (func (export "trap") unreachable)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`;
/** A memory section: one memory that begins with 1 page and may have 9. */
const MEMORY_OF_9 = [5, 4, 1, 1, 1, 9];

async function meter(wat: string): Promise<Uint8Array<ArrayBuffer>> {
  const parser = await wabt();
  const bytes = new Uint8Array(parser.parseWat('m.wat', wat).toBinary({}).buffer);
  return meterModule(bytes, { memoryPagesMax: MEMORY_PAGES_MAX, isStrict: true });
}

describe('[LB8] which failure it is', () => {
  let module: WebAssembly.Module;
  let instance: MeteredInstance;
  beforeAll(async () => {
    module = await WebAssembly.compile(await meter(WAT));
    instance = new MeteredInstance(module);
  });

  const failureOf = (fuel: number, depthBytes: number, body: () => void): string => {
    instance.grant(fuel, depthBytes);
    try {
      body();
    } catch (error) {
      return instance.failureOf(error).code;
    }
    return 'none';
  };

  test('fuel, depth and traps are told apart, and the next grant begins anew', () => {
    expect(failureOf(1_000, 1_000_000, () => instance.call('loop'))).toBe('FUEL_OUT');
    expect(failureOf(1_000_000, 10_000, () => instance.call('deep'))).toBe('TOO_DEEP');
    expect(failureOf(1_000, 1_000, () => instance.call('trap'))).toBe('TRAPPED');
    expect(failureOf(100_000, 1_000, () => instance.call('grow', 0))).toBe('none');
    expect(failureOf(0, 1_000, () => instance.call('grow', 0))).toBe('FUEL_OUT');
  });

  test('a stack of the host that ends first is the host’s', () => {
    // Far beyond any stack there is.
    expect(failureOf(2 ** 30, 2 ** 30, () => instance.call('deep'))).toBe('HOST_STACK');
    expect(failureOf(1, 1, () => fail(new RangeError('Array buffer allocation failed')))).toBe('HOST_FAILED');
    expect(failureOf(1, 1, () => fail(interrupt('FORBIDDEN', 'no')))).toBe('FORBIDDEN');
  });

  test('memory that is refused within the limits is the host’s, and beyond them the guest’s', async () => {
    const metered = await meter(WAT.replace('"memory") 1', '"memory") 1 9'));
    const own = new MeteredInstance(await WebAssembly.compile(metered));
    own.grant(FUEL_MAX, 1_000);
    expect(own.call('grow', 9)).toBe(-1);
    expect(own.call('grow', -1)).toBe(-1);
    expect(own.call('grow', 8)).toBe(1);

    // The memory alone is made smaller: as if the host had no more to give.
    const at = metered.findIndex((_, i) => MEMORY_OF_9.every((byte, j) => metered[i + j] === byte));
    const refusing = new MeteredInstance(await WebAssembly.compile(metered.with(at + MEMORY_OF_9.length - 1, 2)));
    refusing.grant(FUEL_MAX, 1_000);
    expect(refusing.call('grow', 9)).toBe(-1);
    let code = 'none';
    try {
      refusing.call('grow', 5);
    } catch (error) {
      code = refusing.failureOf(error).code;
    }
    expect(code).toBe('NO_MEMORY');
  });
});

function fail(error: Error): never {
  throw error;
}
