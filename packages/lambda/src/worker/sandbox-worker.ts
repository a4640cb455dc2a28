import type { FromWorker, ToWorker } from './messages.js';

/** A thread that can be ended, whatever it is doing. */
export interface SandboxWorker {
  post(message: ToWorker): void;
  /** At once, without a word from the worker. */
  terminate(): void;
}

export interface WorkerEvents {
  onMessage(message: FromWorker): void;
  /** It could not be started, or is gone. */
  onFailure(reason: string): void;
}

export type StartWorker = (events: WorkerEvents) => SandboxWorker;

/** In a page or a worker of it. */
export const startWebWorker: StartWorker = ({ onMessage, onFailure }) => {
  const worker = new Worker(new URL('./entry.js', import.meta.url), { type: 'module', name: 'mangrove-lambda' });
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => onMessage(data);
  worker.onerror = (event) => onFailure(event.message || 'its file could not be loaded');
  return { post: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
};
