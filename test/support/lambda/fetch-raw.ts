import type { EngineKind } from '../../../packages/lambda/src/lambda.js';

const URLS: Record<EngineKind | 'rust', URL> = {
  js: new URL('../../../node_modules/quickjs-wasi/quickjs.wasm', import.meta.url),
  python: new URL(
    '../../../node_modules/@micropython/micropython-webassembly-pyscript/micropython.wasm',
    import.meta.url,
  ),
  rust: new URL('./rust/merge.wasm', import.meta.url),
};

/** In a browser: what the packages publish, and our module in Rust. */
export async function fetchRaw(name: EngineKind | 'rust'): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(URLS[name]);
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
