import { fetchEngine } from '../engines/fetch-engine.js';
import type { ToWorker } from './messages.js';
import { serveLambda } from './serve.js';

const scope = globalThis as unknown as {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};
const take = serveLambda((message) => scope.postMessage(message), fetchEngine);
scope.onmessage = ({ data }) => take(data);
