import { bytesToHex, MangroveError, NOTHING_FOUND, type ScrubFindings } from '@mangrove/protocol';

/** How often one delta may be taken as new: once as it comes, once after a scrub has found it lost. */
const TAKEN_MAX = 2;
/** Deltas that are remembered for that, the last ones. */
const TAKEN_KEPT = 4_096;

/**
 * [AE8] What a pass of the scrub that has ended asks for. `again`: another one at once, which is to find what this one has written anew or dropped
 * in order. `leave`: it does not, so the database keeps nothing that is written to it.
 */
export function afterPass(found: ScrubFindings, isSecond: boolean): 'rest' | 'again' | 'leave' {
  if (found.contradicting + found.unreadable === 0) return 'rest';
  return isSecond ? 'leave' : 'again';
}

/** What a room that leaves its database is told, and why. */
export function leftFor({ unreadable, contradicting }: ScrubFindings = NOTHING_FOUND, cause?: unknown): MangroveError {
  return new MangroveError('STORAGE_DAMAGED', { unreadable, contradicting, isLeft: true }, { cause });
}

/**
 * [AE8] Notices a room that makes no progress: a delta that is taken as new again and again was committed each time, and is not there. A
 * peer cannot bring that about, as what is held or covered is not new.
 */
export class Taken {
  readonly #times = new Map<string, number>();

  /** Whether one of these has been taken too often; counting then begins anew. */
  add(trieKeys: readonly Uint8Array[]): boolean {
    let isTooOften = false;
    for (const key of trieKeys.map(bytesToHex)) {
      const times = (this.#times.get(key) ?? 0) + 1;
      this.#times.delete(key);
      this.#times.set(key, times);
      isTooOften ||= times > TAKEN_MAX;
    }
    for (const oldest of this.#times.keys()) {
      if (this.#times.size <= TAKEN_KEPT) break;
      this.#times.delete(oldest);
    }
    if (isTooOften) this.#times.clear();
    return isTooOften;
  }
}
