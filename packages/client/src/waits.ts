import { MangroveError } from '@mangrove/protocol';
import type { ReachedOptions } from './receipt.js';
import type { Rung } from './types.js';
import type { EngineApi } from './worker/engine-api.js';

const RUNGS: readonly Rung[] = ['applied', 'disk', 'relay', 'replicas', 'all'];

export interface WaitsHost {
  readonly room: string;
  ready(): Promise<void>;
  engine(): EngineApi;
}

/** What a page waits for in a room. Each wait has a number, by which the worker is told that nobody waits any more. */
export class Waits {
  readonly #host: WaitsHost;
  #last = 0;

  constructor(host: WaitsHost) {
    this.#host = host;
  }

  synced(signal: AbortSignal | undefined): Promise<void> {
    return this.#wait((name) => this.#host.engine().synced(this.#host.room, name), signal);
  }

  async reached(rows: readonly number[] | 'all', rung: Rung, options: ReachedOptions): Promise<void> {
    if (!RUNGS.includes(rung)) throw new MangroveError('OPTION_INVALID', { option: 'rung', reason: `${rung} is none` });
    const { count = 1, signal } = options;
    await this.#wait((name) => this.#host.engine().reached(this.#host.room, { name, rows, rung, count }), signal);
  }

  async #wait(start: (name: number) => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    const { room, ready, engine } = this.#host;
    await ready();
    if (signal?.aborted) throw new MangroveError('ABORTED');
    const name = ++this.#last;
    const cancel = (): void =>
      void engine()
        .cancel(room, name)
        .catch(() => {});
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await start(name);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }
}
