import { makeRandom } from './random.js';
import type { TcpProxy } from './tcp-proxy.js';

/** Cuts a network again and again, after times that a seed draws, and counts what passes it. */
export class WeakLink {
  /** Those that ended a connection: what had not arrived is lost with it. */
  cuts = 0;
  /** What both ends have sent, whether or not it arrived. */
  readonly bytes = { up: 0, down: 0 };
  readonly #network: TcpProxy;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(network: TcpProxy) {
    this.#network = network;
    network.tap = (direction, chunk) => {
      this.bytes[direction] += chunk.length;
    };
  }

  start({ seed, everyMsMin, everyMsMax }: { seed: number; everyMsMin: number; everyMsMax: number }): void {
    const random = makeRandom(seed);
    const next = (): void => {
      this.#timer = setTimeout(
        () => {
          if (this.#network.isConnected) this.cuts++;
          this.#network.cut();
          this.#network.heal();
          next();
        },
        everyMsMin + random.below(everyMsMax - everyMsMin),
      );
    };
    next();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
