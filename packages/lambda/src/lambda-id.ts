import { bytesToHex, concatBytes, utf8ToBytes } from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import type { LambdaLimits } from './limits.js';
import { JS_PRELUDE } from './guests/quickjs-guest.js';
import { PYTHON_PRELUDE } from './guests/micropython-guest.js';

declare const brand: unique symbol;

/** 64 hex digits: the name of a lambda together with all that its results and its fuel depend on [LB7]. */
export type LambdaId = string & { readonly [brand]: 'LambdaId' };

export type LambdaKind = 'js' | 'python' | 'wasm';

/** Raised when what stands between engine and lambda changes, and is in no file that is hashed. */
const SANDBOX_VERSION = 1;

const PRELUDES: Record<LambdaKind, string> = { js: JS_PRELUDE, python: PYTHON_PRELUDE, wasm: '' };

/**
 * [LB7] `H("mangrove:lambda:1" • version • kind • limits • H(engine) • H(prelude) • H(source))`. `engine` is what runs, metered: the engine of
 * a language, or for WebAssembly the module itself, so that another rewriter is another lambda too.
 */
export function lambdaIdOf(kind: LambdaKind, engine: Uint8Array, source: Uint8Array, limits: LambdaLimits): LambdaId {
  const { fuel, loadFuel, depthBytes, inputBytes, outputBytes } = limits;
  const head = ['mangrove:lambda:1', SANDBOX_VERSION, kind, fuel, loadFuel, depthBytes, inputBytes, outputBytes];
  const parts = [
    utf8ToBytes(head.join(' ')),
    ...[engine, utf8ToBytes(PRELUDES[kind]), source].map((part) => sha256(part)),
  ];
  return bytesToHex(sha256(concatBytes(...parts))) as LambdaId;
}
