import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { defaultLimits, type Limits } from '@mangrove/protocol';
import { vi } from 'vitest';
import type { Room } from '../../../packages/client/src/room.js';
import { hash, type Keys } from '../keys.js';
import { Profile } from './profile.js';
import { type RelayDisk, WorldRelay } from './relay.js';
import type { Tab } from './tab.js';
import { turn } from './turn.js';

/** Where an in-memory world begins: some day, at noon. */
const START_MS = Date.UTC(2026, 0, 1, 12);
const SPINS_MAX = 60_000;

/**
 * Clients and a relay in one process: real rooms on both sides over memory stores, with everything a platform provides in the
 * hand of the test. Time stands still but for {@link until}, {@link run} and {@link pass}.
 */
export class ClientWorld {
  nowMs = START_MS;
  relay: WorldRelay;
  /** What would have reached the global error handler of a browser. */
  readonly bugs: unknown[] = [];
  readonly #tabs = new Set<Tab>();
  #entropy: Uint8Array;

  readonly limits: Limits;

  /** `seed`: of everything that is drawn by chance, keys included. */
  constructor(seed = 1, limits: Partial<Limits> = {}) {
    this.limits = { ...defaultLimits, ...limits };
    this.#entropy = hash(new TextEncoder().encode(`world ${seed}`));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    vi.stubGlobal('reportError', (error: unknown) => this.bugs.push(error));
    this.relay = new WorldRelay(this);
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at += 32) {
      this.#entropy = hash(this.#entropy);
      bytes.set(this.#entropy.subarray(0, Math.min(32, count - at)), at);
    }
    return bytes;
  }

  u32(): number {
    return new DataView(this.bytes(4).buffer).getUint32(0);
  }

  keys(): Keys {
    // Before a raw key Node wants these bytes (RFC 8410).
    const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
    const key = createPrivateKey({ key: Buffer.concat([prefix, this.bytes(32)]), format: 'der', type: 'pkcs8' });
    const { x } = createPublicKey(key).export({ format: 'jwk' }) as { x: string };
    return {
      publicKey: new Uint8Array(Buffer.from(x, 'base64url')),
      sign: (message) => new Uint8Array(sign(null, message, key)),
    };
  }

  profile(options: { readonly skewMs?: number } = {}): Profile {
    return new Profile(this, options.skewMs ?? 0);
  }

  /** Lets things happen until it is so; a millisecond passes with each turn. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (let spin = 0; spin < SPINS_MAX; spin++) {
      if (await isSo()) return;
      await this.#step(1);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  /** Lets things happen until the promise is settled. */
  async run<Result>(promise: Promise<Result>): Promise<Result> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.until('a promise', () => isSettled);
    return promise;
  }

  /** Lets this much time pass. */
  async pass(ms: number, stepMs = 250): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) await this.#step(Math.min(left, stepMs));
    await this.quiet();
  }

  /** Lets things happen until each room and the relay have one root and nothing waits. */
  async agree(...rooms: Room[]): Promise<void> {
    await this.run(Promise.all(rooms.map((room) => room.ready)));
    await this.until('one root, in sync, nothing pending', async () => {
      const root = await this.relay.root('team');
      return rooms.every(
        ({ status }) => status.sync === 'in-sync' && status.root === root && status.pending.writes === 0,
      );
    });
  }

  /** Lets everything happen that needs no time: many turns of the event loop. */
  async quiet(turns = 40): Promise<void> {
    for (let i = 0; i < turns; i++) await turn();
  }

  /** Another relay in the place of the old one, with an empty disk or a copy of one. */
  restartRelay(disk?: RelayDisk): void {
    const { authenticate } = this.relay;
    this.relay.stop();
    this.relay = new WorldRelay(this, disk);
    this.relay.authenticate = authenticate;
  }

  async close(): Promise<void> {
    for (const tab of this.#tabs) tab.thaw();
    for (const tab of this.#tabs) await this.run(tab.close().catch(() => {}));
    vi.useRealTimers();
    vi.unstubAllGlobals();
  }

  opened(tab: Tab): void {
    this.#tabs.add(tab);
  }

  async #step(ms: number): Promise<void> {
    await turn();
    this.nowMs += ms;
    vi.advanceTimersByTime(ms);
  }
}
