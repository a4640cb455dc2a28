import { MangroveError } from '@mangrove/protocol';
import type { QuarantineEntry, QuarantineOptions } from './types.js';
import type { EngineApi } from './worker/engine-api.js';

const PAGE = 100;

/** What the quarantine needs of the room it is of. */
export interface QuarantineHost {
  readonly room: string;
  ready(): Promise<void>;
  engine(): EngineApi;
}

/**
 * What was set aside and is not read: deltas that are forged or cannot be used, and what is left of rows that a disk has spoiled and nobody
 * else has. The same in all tabs of the profile, and of this device alone; `status.quarantined` is how many there are.
 */
export class Quarantine {
  readonly #host: QuarantineHost;

  constructor(host: QuarantineHost) {
    this.#host = host;
  }

  /** A page of it, in an order that stays the same and tells nothing. Rejects: `OPTION_INVALID`, `CLOSED`. */
  async list(options: QuarantineOptions = {}): Promise<readonly QuarantineEntry[]> {
    const { limit = PAGE, after } = options;
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new MangroveError('OPTION_INVALID', { option: 'limit', reason: `${limit} is no whole number from 1 on` });
    await this.#host.ready();
    return this.#host.engine().quarantine(this.#host.room, limit, after?.id);
  }

  /** The bytes as they came, or as the disk has them, for whoever looks into it; undefined where it is not there any more. */
  async export(entry: Pick<QuarantineEntry, 'id'>): Promise<Uint8Array | undefined> {
    await this.#host.ready();
    return this.#host.engine().exportQuarantined(this.#host.room, entry.id);
  }
}
