/// <reference lib="webworker" />
import { exposeEngine } from '../rpc/expose.js';
import { createEngine } from './engine.js';
import { webEnvironment } from './web-environment.js';

// The composition root of the worker: it picks the browser's implementations and starts the engine. Nothing else does.
exposeEngine(({ database, limits }) => createEngine(webEnvironment(), database, limits));
