import { MangroveError } from '@mangrove/protocol';
import type { Receipt } from './receipt.js';
import type { Version, VersionListOptions } from './types.js';
import type { EngineApi, VersionKey, WriteResult } from './worker/engine-api.js';

/** What versions need of the document or record that they are of. */
export interface VersionsHost<State> {
  readonly room: string;
  readonly key: VersionKey;
  engine(): EngineApi;
  /** When everything that was written on this page is on disk. */
  settle(): Promise<void>;
  /** Throws `VERSION_UNAVAILABLE` for bytes that are no state. */
  toState(id: string, bytes: Uint8Array): State;
  /** Writes what makes the key read like this state, as an edit like any other. */
  write(state: State): Promise<Receipt>;
  receipt(written: WriteResult): Receipt;
}

const PAGE = 100;
const PAGE_MAX = 1_000;

/**
 * Earlier states of one document or record: those that somebody saved, which everybody in the room has, and those that its edits still tell. In a
 * room of full history these are all that there ever were, in any other those of a document since it was merged last.
 */
export class Versions<State> {
  readonly #host: VersionsHost<State>;

  constructor(host: VersionsHost<State>) {
    this.#host = host;
  }

  /**
   * A page of them, newest first; their contents are not read. The next page begins after the last one of this; an empty one is the end.
   * Rejects: `OPTION_INVALID`, `VERSION_UNAVAILABLE` where `after` is none.
   */
  async list({ limit = PAGE, after }: VersionListOptions = {}): Promise<readonly Version[]> {
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > PAGE_MAX)
      throw new MangroveError('OPTION_INVALID', { option: 'limit', reason: `${limit} is not from 1 to ${PAGE_MAX}` });
    await this.#host.settle();
    return this.#host.engine().versions(this.#host.room, this.#host.key, { limit, after });
  }

  /** Saves how it reads now. Rejects: `NAME_INVALID`, `BODY_TOO_LARGE`, `STORAGE_FULL`. */
  async save(name: string): Promise<Version> {
    await this.#host.settle();
    return this.#host.engine().saveVersion(this.#host.room, this.#host.key, name);
  }

  /** Gives a version a name, or another one; a `recent` one is saved by that. Rejects: `NAME_INVALID`, `VERSION_UNAVAILABLE`. */
  async name(id: string, name: string): Promise<Version> {
    await this.#host.settle();
    return this.#host.engine().nameVersion(this.#host.room, this.#host.key, id, name);
  }

  /** The state itself, apart from what is edited. Rejects: `VERSION_UNAVAILABLE`. */
  async view(id: string): Promise<State> {
    await this.#host.settle();
    return this.#host.toState(id, await this.#host.engine().readVersion(this.#host.room, this.#host.key, id));
  }

  /**
   * Makes it read like the version, by an edit that everybody gets. How it read before is saved as an automatic version first, so that this
   * can be undone. Rejects: `VERSION_UNAVAILABLE`.
   */
  async restore(id: string): Promise<Receipt> {
    const state = await this.view(id);
    await this.#host.engine().keepVersion(this.#host.room, this.#host.key);
    return this.#host.write(state);
  }

  /** Deletes one that was saved, for everybody. Rejects: `VERSION_UNAVAILABLE`. */
  async delete(id: string): Promise<Receipt> {
    await this.#host.settle();
    return this.#host.receipt(await this.#host.engine().deleteVersion(this.#host.room, this.#host.key, id));
  }
}
