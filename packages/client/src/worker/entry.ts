/// <reference lib="webworker" />
import { exposeEngine } from '../rpc/expose.js';
import { createEngine } from './engine.js';
import { exposeShadow, SHADOW_NAME } from '../documents/shadow.js';
import { webEnvironment } from './web-environment.js';

// The composition root of the worker: it picks the browser's implementations and starts the engine. Nothing else does.
if ((globalThis as { name?: string }).name === SHADOW_NAME) exposeShadow();
else exposeEngine(({ database, limits }) => createEngine(webEnvironment(), database, limits));
