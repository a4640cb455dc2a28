/// <reference lib="webworker" />
import { exposeShadow, SHADOW_NAME } from '../documents/shadow.js';
import { exposeEngine } from '../rpc/expose.js';
import { createEngine } from './engine.js';
import { webEnvironment } from './web-environment.js';

/** The composition root of the worker: it picks the browser's implementations and starts the engine. Nothing else does. */
export function begin(): void {
  if ((globalThis as { name?: string }).name === SHADOW_NAME) exposeShadow();
  else exposeEngine(({ database, limits }) => createEngine(webEnvironment(), database, limits));
}
