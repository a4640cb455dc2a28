import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describeLambdas } from './lambda-contract.js';

const PATHS = {
  js: '../../node_modules/quickjs-wasi/quickjs.wasm',
  python: '../../node_modules/@micropython/micropython-webassembly-pyscript/micropython.wasm',
  rust: '../support/lambda/rust/merge.wasm',
};
const read = async (path: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(fileURLToPath(new URL(path, import.meta.url))));

describeLambdas('Node', { readEngine: (kind) => read(PATHS[kind]), readRust: () => read(PATHS.rust) });
