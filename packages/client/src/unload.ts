import type { RoomStatus } from './types.js';

/** Whether a write goes with this page. `unjournaled`: how many it has handed over, or is about to, and has no answer for. */
export function isAtRisk({ storage, pending }: Pick<RoomStatus, 'storage' | 'pending'>, unjournaled: number): boolean {
  if (unjournaled > 0) return true;
  switch (storage) {
    case 'opening':
    case 'indexeddb':
      return false;
    // Something is applied that no disk takes; what else is pending is kept.
    case 'full':
      return true;
    case 'memory':
    case 'lost':
      return pending.writes > 0;
  }
}

/**
 * The browser asks whether to leave while something would be lost by it. The listener is there for no longer than that: a page that has one
 * may be kept out of the back/forward cache.
 */
export class UnloadWarning {
  readonly #isAtRisk: () => boolean;
  #holders = 0;
  #isListening = false;

  constructor(isAtRisk: () => boolean) {
    this.#isAtRisk = isAtRisk;
  }

  /** The returned function ends it, once. */
  begin(): () => void {
    let isHeld = true;
    this.#holders++;
    this.update();
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders--;
      this.update();
    };
  }

  /** Whether something is at risk may have changed. */
  update(): void {
    const isWanted = this.#holders > 0 && this.#isAtRisk();
    if (isWanted === this.#isListening) return;
    this.#isListening = isWanted;
    if (isWanted) globalThis.addEventListener?.('beforeunload', this.#warn);
    else globalThis.removeEventListener?.('beforeunload', this.#warn);
  }

  end(): void {
    this.#holders = 0;
    this.update();
  }

  /** For each room a listener of its own, or one that is safe would take away that of another. */
  readonly #warn = (event: BeforeUnloadEvent): void => {
    event.preventDefault();
    // What Safari and Chromium before version 119 go by.
    event.returnValue = true;
  };
}
