import { Worker } from 'node:worker_threads';
import type { FromWorker } from './messages.js';
import type { StartWorker } from './sandbox-worker.js';

/** In Node. It does not keep the process alive. */
export const startNodeWorker: StartWorker = ({ onMessage, onFailure }) => {
  const worker = new Worker(new URL('./node-entry.js', import.meta.url));
  worker.on('message', (message: FromWorker) => onMessage(message));
  worker.on('error', (error) => onFailure(error.message));
  return { post: (message) => worker.postMessage(message), terminate: () => void worker.terminate() };
};
