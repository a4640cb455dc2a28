import type { Leadership } from './leadership.js';

/**
 * Notices when other tabs end, however they end: a tab that crashes or is closed has no time to say so, but the browser frees the
 * lock that each tab holds for as long as it lives.
 */
export class TabLives {
  readonly #lead: (name: string) => Leadership;
  readonly #room: string;
  readonly #ended: (tab: number) => void;
  readonly #own: Leadership;
  readonly #watched = new Map<number, Leadership>();

  constructor(lead: (name: string) => Leadership, room: string, tab: number, ended: (tab: number) => void) {
    this.#lead = lead;
    this.#room = room;
    this.#ended = ended;
    this.#own = this.#begin(tab);
  }

  /** Another tab has said something, so it lives. */
  met(tab: number): void {
    if (this.#watched.has(tab)) return;
    const life = this.#begin(tab);
    this.#watched.set(tab, life);
    life.acquired.then(
      () => {
        // Freed as well when we stopped looking.
        if (this.#watched.get(tab) === life) this.#ended(tab);
        this.left(tab);
        life.release();
      },
      () => {},
    );
  }

  /** It has said so itself. */
  left(tab: number): void {
    this.#watched.get(tab)?.release();
    this.#watched.delete(tab);
  }

  close(): void {
    for (const tab of [...this.#watched.keys()]) this.left(tab);
    this.#own.release();
  }

  #begin(tab: number): Leadership {
    const life = this.#lead(`${this.#room}:tab-${tab}`);
    life.acquired.catch(() => {});
    return life;
  }
}
