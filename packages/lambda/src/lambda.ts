import type { Outcome } from './failure.js';
import type { MakeGuest } from './guests/guest.js';
import { makeMicroPythonGuest } from './guests/micropython-guest.js';
import { makeQuickJsGuest } from './guests/quickjs-guest.js';
import { makeWasmGuest } from './guests/wasm-guest.js';
import { LambdaError } from './lambda-error.js';
import { type LambdaId, lambdaIdOf, type LambdaKind } from './lambda-id.js';
import { DEPTH_BYTES_MAX, defaultLambdaLimits, FUEL_MAX, type LambdaLimits, MEMORY_PAGES_MAX } from './limits.js';
import { assertAbi } from './meter/abi.js';
import { meterModule } from './meter/meter.js';

/** The languages that need an engine. */
export type EngineKind = 'js' | 'python';

/** The metered engine of a language, as the package ships it. Called when a lambda first needs it. */
export type LoadEngine = (kind: EngineKind) => Promise<Uint8Array<ArrayBuffer>>;

/** A lambda as it is configured. `code` is source text in UTF-8, or a WebAssembly module. */
export interface LambdaSpec {
  readonly kind: LambdaKind;
  readonly code: Uint8Array<ArrayBuffer>;
  readonly limits?: Partial<LambdaLimits>;
  /** The id it was pinned with: a lambda that comes to another one is refused [LB7]. */
  readonly id?: string;
}

/** A lambda that is ready to run. */
export interface Lambda {
  readonly id: LambdaId;
  readonly kind: LambdaKind;
  readonly limits: LambdaLimits;
  /** Synchronous, and as long as the fuel lasts. Begins in the same state each time [LB6]. */
  run(input: Uint8Array): Outcome;
}

const GUESTS: Record<LambdaKind, MakeGuest> = {
  js: makeQuickJsGuest,
  python: makeMicroPythonGuest,
  wasm: makeWasmGuest,
};

/**
 * Loads a lambda: its engine, then its source. Where this runs a hang of the host cannot be ended; a page runs it by `openSandbox`, which can.
 *
 * Throws `LAMBDA_INVALID` for one that every replica refuses, and `LAMBDA_UNAVAILABLE` where its engine cannot be had here.
 */
export async function prepareLambda(spec: LambdaSpec, loadEngine: LoadEngine): Promise<Lambda> {
  const limits = { ...defaultLambdaLimits, ...spec.limits };
  assertLimits(limits);
  if (spec.code.length > limits.codeBytes) {
    const reason = `it has ${spec.code.length} bytes; ${limits.codeBytes} are allowed`;
    throw new LambdaError('LAMBDA_INVALID', reason);
  }
  const engine = await engineOf(spec, loadEngine);
  const id = lambdaIdOf(spec.kind, engine, spec.code, limits);
  if (spec.id !== undefined && spec.id !== id)
    throw new LambdaError('LAMBDA_INVALID', `it is ${id}, not ${spec.id}, with which it was pinned`);
  const guest = GUESTS[spec.kind](await compile(engine), spec.code, limits);
  return { id, kind: spec.kind, limits, run: (input) => guest.run(input) };
}

async function engineOf({ kind, code }: LambdaSpec, loadEngine: LoadEngine): Promise<Uint8Array<ArrayBuffer>> {
  if (kind === 'wasm') {
    const metered = meterModule(code, { memoryPagesMax: MEMORY_PAGES_MAX, isStrict: true });
    assertAbi(metered);
    return metered;
  }
  try {
    return await loadEngine(kind);
  } catch (cause) {
    throw unavailable(`its engine could not be loaded (${cause instanceof Error ? cause.message : cause})`, cause);
  }
}

async function compile(engine: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(engine);
  } catch (cause) {
    throw unavailable(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function assertLimits(limits: LambdaLimits): void {
  const bounds: Partial<LambdaLimits> = { fuel: FUEL_MAX, loadFuel: FUEL_MAX, depthBytes: DEPTH_BYTES_MAX };
  for (const [name, value] of Object.entries(limits)) {
    const max = bounds[name as keyof LambdaLimits] ?? FUEL_MAX;
    if (!Number.isSafeInteger(value) || value < 1 || value > max)
      throw new LambdaError('LAMBDA_INVALID', `its limit ${name} is ${value}, not a number from 1 to ${max}`);
  }
}

function unavailable(reason: string, cause: unknown): LambdaError {
  return new LambdaError('LAMBDA_UNAVAILABLE', reason, { cause });
}
