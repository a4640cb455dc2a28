import * as Comlink from 'comlink';
import { errorFromFacts, MangroveError } from '@mangrove/protocol';
import type { EngineApi, RoomListener } from '../worker/engine-api.js';
import type { EngineEndpoint, EngineOptions, NetworkWord } from './expose.js';

const METHODS: readonly (keyof EngineApi)[] = [
  'openRoom',
  'closeRoom',
  'pause',
  'openDocument',
  'closeDocument',
  'edit',
  'presence',
  'put',
  'get',
  'entries',
  'watch',
  'trash',
  'recover',
  'emptyTrash',
  'synced',
  'reached',
  'cancel',
  'versions',
  'saveVersion',
  'nameVersion',
  'readVersion',
  'keepVersion',
  'deleteVersion',
  'backup',
  'readBackup',
  'restore',
  'writeRestore',
  'endRestore',
  'dropStream',
  'shutDown',
];

export interface WrappedEngine {
  /** As if it were here: errors arrive as the class they were thrown as. */
  readonly engine: EngineApi;
  /** Tells the worker what the page has heard. */
  network(word: NetworkWord): void;
}

/** The engine in a worker. */
export function wrapEngine(worker: Worker, options: EngineOptions): WrappedEngine {
  const endpoint = Comlink.wrap<EngineEndpoint>(worker);
  endpoint.start(options).then(
    () => {
      isRunning = true;
    },
    () => {},
  );
  // A worker that cannot be loaded answers nothing, so that is what every call hears. Errors of a running one are its own.
  let isRunning = false;
  const broken = new Promise<never>((_, reject) => {
    worker.addEventListener('error', (event) => {
      if (isRunning) return;
      const reason = event.message || 'its script could not be loaded';
      reject(new MangroveError('NOT_SUPPORTED', { feature: `The worker that this page has started (${reason})` }));
    });
  });
  broken.catch(() => {});
  const call = async (method: keyof EngineApi, args: unknown[]): Promise<unknown> => {
    const outcome = await Promise.race([endpoint.call(method, ...args), broken]);
    if (outcome.ok) return outcome.value;
    throw errorFromFacts(outcome.error);
  };
  const engine = Object.fromEntries(
    METHODS.map((method) => [method, (...args: unknown[]) => call(method, args)]),
  ) as unknown as EngineApi;
  return {
    engine: { ...engine, openRoom: (room, listener) => engine.openRoom(room, Comlink.proxy(listener) as RoomListener) },
    network: (word) => void endpoint.network(word).catch(() => {}),
  };
}
