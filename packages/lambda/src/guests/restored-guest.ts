import type { Failure, Outcome } from '../failure.js';
import type { LambdaLimits } from '../limits.js';
import type { Guest } from './guest.js';
import type { MeteredInstance } from './metered-instance.js';
import type { Snapshot } from './snapshot.js';

/** An engine that has loaded a lambda: how to make another one, and how to call it. */
export interface LoadedEngine {
  readonly snapshot: Snapshot;
  /** The instance that the snapshot was taken of, for the first run. */
  readonly first: MeteredInstance;
  /** An instance that has run nothing. */
  makeInstance(): MeteredInstance;
  /** Bytes in, bytes out. Throws what the guest throws. */
  call(instance: MeteredInstance, input: Uint8Array): Uint8Array<ArrayBuffer>;
}

/** [LB6] Restores the snapshot before each run; where memory has grown, into a new instance. */
export function restoredGuest(engine: LoadedEngine, limits: LambdaLimits): Guest {
  let instance: MeteredInstance | undefined = engine.first;

  function fresh(): MeteredInstance {
    if (instance !== undefined && engine.snapshot.fits(instance)) {
      engine.snapshot.restore(instance);
      return instance;
    }
    instance = engine.makeInstance();
    engine.snapshot.restoreInto(instance);
    return instance;
  }

  return {
    run(input) {
      if (input.length > limits.inputBytes) return tooLarge(input.length, limits);
      let ready: MeteredInstance;
      try {
        ready = fresh();
      } catch (error) {
        instance = undefined;
        return failed({ code: 'NO_MEMORY', detail: String(error) }, 0);
      }
      ready.grant(limits.fuel, limits.depthBytes);
      try {
        return checked(engine.call(ready, input), ready.fuelUsed, limits);
      } catch (error) {
        return failed(ready.failureOf(error), ready.fuelUsed);
      }
    },
  };
}

export function checked(bytes: Uint8Array<ArrayBuffer>, fuel: number, limits: LambdaLimits): Outcome {
  if (bytes.length <= limits.outputBytes) return { ok: true, bytes, fuel };
  const detail = `the result has ${bytes.length} bytes; ${limits.outputBytes} are allowed`;
  return failed({ code: 'OUTPUT_TOO_LARGE', detail }, fuel);
}

export function tooLarge(inputBytes: number, limits: LambdaLimits): Outcome {
  const detail = `the conflict has ${inputBytes} bytes; ${limits.inputBytes} are allowed`;
  return failed({ code: 'INPUT_TOO_LARGE', detail }, 0);
}

export function failed(error: Failure, fuel: number): Outcome {
  return { ok: false, error, fuel };
}
