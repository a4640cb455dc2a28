import { ENGINE_OPTIONS } from '../../../packages/lambda/src/meter/engine-options.js';
import { meterModule } from '../../../packages/lambda/src/meter/meter.js';
import type { ToWorker } from '../../../packages/lambda/src/worker/messages.js';
import { serveLambda } from '../../../packages/lambda/src/worker/serve.js';
import { fetchRaw } from './fetch-raw.js';

/** Fuel ends whatever a guest does, so the thread itself has to be stuck for the watchdog to be needed. */
const STUCK = '"id":"stuck"';

// The shipped worker, but that it meters its engine itself: tests run from the sources, without a build.
const scope = globalThis as unknown as {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};
const take = serveLambda(
  (message) => scope.postMessage(message),
  async (kind) => meterModule(await fetchRaw(kind), ENGINE_OPTIONS[kind]),
);
scope.onmessage = ({ data }) => {
  if (data.type === 'run' && new TextDecoder().decode(data.input).includes(STUCK)) for (;;);
  take(data);
};
