import { claimSteal, errorToFacts, isMangroveError } from '@mangrove/protocol';
import type { Environment } from '../environment.js';
import type { LeadOptions, Leadership } from '../tabs/leadership.js';
import { Owner } from './owner.js';
import type { OwnerHost } from './owner-host.js';
import { OwnerSilence } from './owner-silence.js';
import { OwnerWatch } from './owner-watch.js';
import type { RuntimeOptions } from './runtime-options.js';

/** A full disk takes no epoch, without which nothing is sealed. */
const RETRY_FULL_AFTER_MS = 1_000;
/** Whoever was taken over from waits this long before it stands in line again, so that two tabs never take turns quickly. */
const STAND_AGAIN_AFTER_MS = 1_000;

export interface OwnershipHost extends Omit<OwnerHost, 'passed'> {
  /** Called when the owner has begun. */
  tookOver(): Promise<void>;
  /** Called when another tab has taken over from this one, and its owner has stopped. */
  steppedDown(): void;
}

/** Whether this tab owns the replica, and the {@link Owner} that it has for as long as it does. */
export class Ownership {
  readonly #env: Environment;
  readonly #options: RuntimeOptions;
  readonly #host: OwnershipHost;
  readonly #silence: OwnerSilence;
  readonly #watch: OwnerWatch;
  #name = '';
  #leadership: Leadership | undefined;
  #owner: Owner | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  /** Undefined until anybody has said anything of the network. */
  #isPaused: boolean | undefined;
  #isDeclined = false;

  constructor(env: Environment, options: RuntimeOptions, host: OwnershipHost) {
    this.#env = env;
    this.#options = options;
    this.#host = host;
    this.#silence = new OwnerSilence(
      () => env.clock.nowMs(),
      () => host.post({ kind: 'asked' }),
    );
    this.#watch = new OwnerWatch(env, {
      ask: () => host.post({ kind: 'asked' }),
      claim: () => this.#claim(),
      steal: () => this.#stand({ steal: true }),
      failed: (error) => host.status.fault(errorToFacts(error)),
    });
  }

  get owner(): Owner | undefined {
    return this.#owner;
  }

  /** Stands in line with the other tabs, for the lock of this name. */
  begin(name: string): void {
    this.#name = name;
    this.#stand();
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

  /** How long the tab that owns the replica has not answered. Asks it once more. */
  ownerSilentMs(): number {
    return this.#owner === undefined ? this.#silence.look() : 0;
  }

  /** Another tab owns the replica, and is awake. */
  heardOwner(): void {
    this.#silence.heard();
    this.#watch.heard();
  }

  /** Becomes no owner any more; one that it has goes on until it is stopped. */
  decline(): void {
    this.#isDeclined = true;
    this.#watch.stop();
    clearTimeout(this.#again);
  }

  /** Resolves when what is under way is written and told; only then another tab is to take over. */
  async stop(): Promise<void> {
    await this.#owner?.stop();
  }

  release(): void {
    this.#leadership?.release();
  }

  #stand(options: LeadOptions = {}): void {
    this.#leadership?.release();
    const leadership = this.#env.lead(this.#name, options);
    this.#leadership = leadership;
    // Who shares its rows with nobody waits for nobody.
    if (this.#options.isPersistent) this.#watch.start();
    leadership.acquired
      .then(() => this.#own(leadership))
      .catch((error: unknown) => this.#host.status.fault(errorToFacts(error)));
  }

  async #own(leadership: Leadership): Promise<void> {
    this.#watch.stop();
    if (this.#isDeclined) return;
    const isCurrent = (): boolean => this.#owner === owner;
    const passed = (): void => {
      if (isCurrent()) this.#stepDown(owner, leadership).catch((error: unknown) => reportError(error));
    };
    const host: OwnerHost = {
      ...this.#host,
      // What it says while it stops is of its own connection, and not of the one that the others have now.
      post: (notice) => {
        if (isCurrent()) this.#host.post(notice);
      },
      passed,
    };
    const owner = new Owner(this.#env, this.#options, host, this.#isPaused ?? false);
    this.#owner = owner;
    void leadership.lost.then(passed);
    await this.#startWhenThereIsRoom(owner);
    if (!this.#isDeclined && isCurrent()) await this.#host.tookOver();
  }

  /** [JS9] Another tab owns the replica. This one goes on as those do that never owned it. */
  async #stepDown(owner: Owner, leadership: Leadership): Promise<void> {
    this.#owner = undefined;
    leadership.release();
    await owner.stop();
    if (this.#isDeclined) return;
    this.#host.steppedDown();
    this.#again = setTimeout(() => this.#stand(), STAND_AGAIN_AFTER_MS);
  }

  #claim(): Promise<boolean> {
    const nowMs = this.#env.clock.nowMs();
    return this.#options.store.transact((tx) => claimSteal(tx, nowMs), { mode: 'write', durability: 'strict' });
  }

  async #startWhenThereIsRoom(owner: Owner): Promise<void> {
    while (!this.#isDeclined && this.#owner === owner) {
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
