import { bytesToHex } from '../../packages/protocol/src/bytes.js';
import { makeRandom, type Random } from '../support/random.js';

/** What one case found: the bytes that show it, and the words for it. */
export class Finding extends Error {
  readonly where: string;
  readonly frames: readonly Uint8Array[];

  constructor(where: string, frames: readonly Uint8Array[], reason: string, cause?: unknown) {
    super(reason, { cause });
    this.where = where;
    this.frames = frames;
  }

  /** Findings of one kind most likely have one reason. */
  get kind(): string {
    const at = this.cause instanceof Error ? /\n\s+at (\S+)/.exec(this.cause.stack ?? '')?.[1] : '';
    return `${this.where} ${this.message.replaceAll(/[0-9a-f]{16,}|\d+/g, '')} ${at}`;
  }

  toText(): string {
    const cause = this.cause instanceof Error ? `\n  ${this.cause.stack ?? this.cause.message}` : '';
    const frames = this.frames.map(
      (frame) => `\n  ${frame.length > 4_000 ? `(${frame.length} bytes) ` : ''}${bytesToHex(frame.subarray(0, 4_000))}`,
    );
    return `${this.where}: ${this.message}${frames.join('')}${cause}`;
  }
}

/** Cases of one run share nothing: a seed and a number make one again. */
export function randomOfCase(seed: number, number: number): Random {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number + 1, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return makeRandom(mixed ^ (mixed >>> 13));
}

/** How often each thing happened, so that a run that refuses everything, or nothing, is noticed. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  get(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  toObject(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
