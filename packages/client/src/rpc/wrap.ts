import * as Comlink from 'comlink';
import { errorFromFacts, MangroveError } from '@mangrove/protocol';
import type { RoomStatus } from '../types.js';
import type { EngineApi, RoomListener } from '../worker/engine-api.js';
import type { EngineEndpoint, EngineOptions, Notice, PageWord } from './expose.js';

const METHODS: readonly (keyof EngineApi)[] = [
  'openRoom',
  'closeRoom',
  'pause',
  'vitals',
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
  'quarantine',
  'exportQuarantined',
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
  tell(word: PageWord): void;
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
  const listeners = new Listeners(worker);
  const call = async (method: keyof EngineApi, args: unknown[]): Promise<unknown> => {
    const answered = endpoint.call(method, ...args);
    // What has begun to run no longer fails to load, and a race would keep something of each call for as long as `broken` is undecided.
    const outcome = await (isRunning ? answered : Promise.race([answered, broken]));
    for (const notice of outcome.told ?? []) listeners.hear(notice);
    if (outcome.ok) return outcome.value;
    throw errorFromFacts(outcome.error);
  };
  const engine = Object.fromEntries(
    METHODS.map((method) => [method, (...args: unknown[]) => call(method, args)]),
  ) as unknown as EngineApi;
  return {
    engine: {
      ...engine,
      openRoom: (options, listener) =>
        call('openRoom', [
          options,
          listeners.add(options.room, listener),
          Comlink.proxy(() => listener.token()),
        ]) as Promise<RoomStatus>,
      closeRoom: async (room) => {
        const closed = listeners.of(room);
        await engine.closeRoom(room).finally(() => listeners.drop(closed));
      },
    },
    tell: (word) => void endpoint.heard(word).catch(() => {}),
  };
}

/** Who listens to which room, by the numbers that notices carry. */
class Listeners {
  readonly #byNumber = new Map<number, { readonly room: string; readonly listener: RoomListener }>();
  #last = 0;

  constructor(worker: Worker) {
    worker.addEventListener('message', ({ data }: MessageEvent<Partial<Notice> | undefined>) => {
      if (data?.listener !== undefined) this.hear(data as Notice);
    });
  }

  add(room: string, listener: RoomListener): number {
    this.#byNumber.set(++this.#last, { room, listener });
    return this.#last;
  }

  of(room: string): readonly number[] {
    return [...this.#byNumber].filter(([, entry]) => entry.room === room).map(([number]) => number);
  }

  drop(numbers: readonly number[]): void {
    for (const number of numbers) this.#byNumber.delete(number);
  }

  hear({ listener: number, told, args }: Notice): void {
    const listener = this.#byNumber.get(number)?.listener;
    (listener?.[told] as ((...args: readonly unknown[]) => void) | undefined)?.(...args);
  }
}
