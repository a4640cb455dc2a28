import { seededRandom } from '../../support/random.mjs';
import { now } from './clock.js';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz     ';
/** People type runs, and then go elsewhere. */
const JUMP_CHANCE = 1 / 20;

/** Types single characters into a Y.Text, one transaction each, and notes when those of others arrive. */
export class Typist {
  text;
  #random;
  #cursor = 0;
  #arrivals = [];
  #awaited;
  #isTyping = false;

  constructor(text, seed) {
    this.text = text;
    this.#random = seededRandom(seed);
    text.observe(() => {
      if (this.#isTyping) return;
      this.#arrivals.push([text.length, now()]);
      if (this.#awaited !== undefined && text.length >= this.#awaited.length) this.#awaited.resolve(now());
    });
  }

  /**
   * Types `count` characters, one every `everyMs`, each in a task of its own.
   *
   * Resolves to [length after the key, time before the insert] of each key, in order.
   */
  async type({ count, everyMs }) {
    const keys = [];
    const startMs = performance.now();
    for (let i = 0; i < count; i++) {
      const waitMs = startMs + i * everyMs - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, waitMs)));
      const atMs = now();
      this.#press();
      keys.push([this.text.length, atMs]);
    }
    return keys;
  }

  takeArrivals() {
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    return arrivals;
  }

  /** The time at which the model has this length; the text only grows. */
  waitForLength(length) {
    if (this.text.length >= length) return Promise.resolve(now());
    return new Promise((resolve) => {
      this.#awaited = { length, resolve };
    });
  }

  #press() {
    const { text } = this;
    if (this.#random() < JUMP_CHANCE) this.#cursor = Math.floor(this.#random() * (text.length + 1));
    const at = Math.min(this.#cursor, text.length);
    this.#isTyping = true;
    text.insert(at, LETTERS[Math.floor(this.#random() * LETTERS.length)]);
    this.#isTyping = false;
    this.#cursor = at + 1;
  }
}
