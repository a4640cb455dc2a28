/** After this long without a word from the relay it is asked for one. */
const PING_AFTER_MS = 10_000;
/** And this long after that it is taken for gone: proxies and radios drop connections without telling. */
const PONG_WITHIN_MS = 5_000;
/** The same where the platform says that there is no network, which may be wrong: a relay on this very machine still answers. */
const PONG_OFFLINE_MS = 1_500;

/** Whether a connection that only seems to be open still leads anywhere. Pure: its caller has the clock and the socket. */
export class Liveness {
  #heardAtMs: number;
  #pingedAtMs: number | undefined;
  #pongWithinMs = PONG_WITHIN_MS;

  constructor(nowMs: number) {
    this.#heardAtMs = nowMs;
  }

  /** The relay has said anything at all. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
    this.#pingedAtMs = undefined;
  }

  /** The platform says that the network is gone: the relay is to be asked at once. */
  doubted(nowMs: number): void {
    this.#pingedAtMs = nowMs;
    this.#pongWithinMs = PONG_OFFLINE_MS;
  }

  /** What is to be done now. A frozen tab thaws with an old clock: it asks first, and gives up only when the answer stays out. */
  look(nowMs: number): 'ping' | 'give-up' | 'wait' {
    if (this.#pingedAtMs !== undefined) return nowMs - this.#pingedAtMs > this.#pongWithinMs ? 'give-up' : 'wait';
    if (nowMs - this.#heardAtMs < PING_AFTER_MS) return 'wait';
    this.#pingedAtMs = nowMs;
    this.#pongWithinMs = PONG_WITHIN_MS;
    return 'ping';
  }
}
