import { errorToFacts, isMangroveError } from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { Leadership } from '../tabs/leadership.js';
import { Owner, type OwnerHost } from './owner.js';
import type { RuntimeOptions } from './runtime-options.js';

/** A full disk takes no epoch, without which nothing is sealed. */
const RETRY_FULL_AFTER_MS = 1_000;

/** Whether this tab owns the replica, and the {@link Owner} that it has from then on. */
export class Ownership {
  readonly #env: Environment;
  readonly #options: RuntimeOptions;
  readonly #host: OwnerHost;
  /** Called when the owner has begun. */
  readonly #tookOver: () => Promise<void>;
  #leadership: Leadership | undefined;
  #owner: Owner | undefined;
  /** Undefined until anybody has said anything of the network. */
  #isPaused: boolean | undefined;
  #isDeclined = false;

  constructor(env: Environment, options: RuntimeOptions, host: OwnerHost, tookOver: () => Promise<void>) {
    this.#env = env;
    this.#options = options;
    this.#host = host;
    this.#tookOver = tookOver;
  }

  get owner(): Owner | undefined {
    return this.#owner;
  }

  /** Stands in line with the other tabs, for the lock of this name. */
  begin(name: string): void {
    this.#leadership = this.#env.lead(name);
    this.#leadership.acquired
      .then(() => this.#own())
      .catch((error: unknown) => this.#host.status.fault(errorToFacts(error)));
  }

  /** Also where another tab owns the replica: whoever takes over from it keeps the network as it is. */
  setPaused(isPaused: boolean): void {
    if (this.#options.relays.length === 0) return;
    this.#isPaused = isPaused;
    this.#owner?.setPaused(isPaused);
  }

  /** As a status shows it, which may be older than what was said of the network since. */
  learnPaused(isPaused: boolean): void {
    if (this.#isPaused === undefined) this.setPaused(isPaused);
  }

  /** Becomes no owner any more; one that it has goes on until it is stopped. */
  decline(): void {
    this.#isDeclined = true;
  }

  /** Resolves when what is under way is written and told; only then another tab is to take over. */
  async stop(): Promise<void> {
    await this.#owner?.stop();
  }

  release(): void {
    this.#leadership?.release();
  }

  async #own(): Promise<void> {
    if (this.#isDeclined) return;
    this.#owner = new Owner(this.#env, this.#options, this.#host, this.#isPaused ?? false);
    await this.#startWhenThereIsRoom(this.#owner);
    if (!this.#isDeclined) await this.#tookOver();
  }

  async #startWhenThereIsRoom(owner: Owner): Promise<void> {
    while (!this.#isDeclined) {
      try {
        return await owner.start();
      } catch (error) {
        if (!isMangroveError(error) || error.code !== 'STORAGE_FULL') throw error;
        this.#host.status.fault(errorToFacts(error));
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_FULL_AFTER_MS));
    }
  }
}
