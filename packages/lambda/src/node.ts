export { readEngine } from './engines/read-engine.js';
export { startNodeWorker } from './worker/node-worker.js';
