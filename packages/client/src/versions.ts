import type { Receipt } from './receipt.js';
import type { Version } from './types.js';
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

/**
 * Earlier states of one document or record: those that somebody saved, which everybody in the room has, and of a document those that its
 * recent edits still tell.
 */
export class Versions<State> {
  readonly #host: VersionsHost<State>;

  constructor(host: VersionsHost<State>) {
    this.#host = host;
  }

  /** Newest first; their contents are not read. */
  async list(): Promise<readonly Version[]> {
    await this.#host.settle();
    return this.#host.engine().versions(this.#host.room, this.#host.key);
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
